"""What a replay is asked to do: its options, as values."""

from dataclasses import dataclass, field

from consumer.commands.replay.dead_letters import Selection
from consumer.commands.replay.options import MAX_REPLAYS


@dataclass(frozen=True, slots=True)
class Orders:
    """What is asked for."""

    selection: Selection = field(default_factory=Selection)
    max_replays: int = MAX_REPLAYS
    skip: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The options. ``rate``: requests per second, at most; None: as the settings say.

    ``takes_all``: it was said that all of them are to be skipped.
    """

    orders: Orders = field(default_factory=Orders)
    from_start: bool = False
    dry_run: bool = False
    rate: float | None = None
    as_json: bool = False
    takes_all: bool = False

    @property
    def problem(self) -> str:
        """Return what is wrong with the options together; empty: nothing."""
        skips_all = self.orders.skip and not self.orders.selection
        if skips_all and not self.takes_all:
            return (
                "--skip settles dead letters for good, and nothing says which: choose some with"
                " --reason, --segment or --since, or say --all"
            )
        if self.takes_all and not skips_all:
            return "--all goes with --skip alone, for want of --reason, --segment and --since"
        return ""

    @property
    def keeps_marks(self) -> bool:
        """Whether what was settled before stays so, even if it is read from the start."""
        return bool(self.orders.selection)
