"""All mutants: what is wrong in the core, in the loop, below them, and in what is shown."""

from tests.mutants.changes_below import BELOW
from tests.mutants.changes_in_core import CORE
from tests.mutants.changes_in_loop import LOOP
from tests.mutants.changes_in_sight import IN_SIGHT
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (*CORE, *LOOP, *BELOW, *IN_SIGHT)
