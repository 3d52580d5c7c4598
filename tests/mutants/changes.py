"""All mutants: what is wrong in the core, in trouble, in the loop, below, around, in settings."""

from tests.mutants.changes_below import BELOW
from tests.mutants.changes_in_core import CORE
from tests.mutants.changes_in_loop import LOOP
from tests.mutants.changes_in_process import PROCESS
from tests.mutants.changes_in_settings import SETTINGS
from tests.mutants.changes_in_trouble import TROUBLE
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (*CORE, *TROUBLE, *LOOP, *BELOW, *PROCESS, *SETTINGS)
