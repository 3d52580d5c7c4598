"""All mutants: of the core and its parts, the loop, what is below, settings, what is told."""

from tests.mutants.changes_below import BELOW
from tests.mutants.changes_in_core import CORE
from tests.mutants.changes_in_lanes import LANES
from tests.mutants.changes_in_loop import LOOP
from tests.mutants.changes_in_mapping import MAPPING
from tests.mutants.changes_in_preview import PREVIEW
from tests.mutants.changes_in_process import PROCESS
from tests.mutants.changes_in_reading import READING
from tests.mutants.changes_in_replays import IN_REPLAYS
from tests.mutants.changes_in_schemas import SCHEMAS
from tests.mutants.changes_in_settings import SETTINGS
from tests.mutants.changes_in_sight import IN_SIGHT
from tests.mutants.changes_in_stalls import STALLS
from tests.mutants.changes_in_trouble import TROUBLE
from tests.mutants.changes_in_what_is_said import SAID
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *(*CORE, *LANES, *TROUBLE, *STALLS, *MAPPING, *READING, *SCHEMAS),
    *(*LOOP, *BELOW, *PROCESS, *PREVIEW, *SETTINGS, *IN_SIGHT, *IN_REPLAYS, *SAID),
)
