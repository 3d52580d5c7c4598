"""A mapping's tables as rules: understood whole, or every problem at once."""

from collections.abc import Mapping

from consumer.core.events import IdType
from consumer.core.mapping.document import Table, kind_of
from consumer.core.mapping.forms import Forms
from consumer.core.mapping.language import MOST_WALKS, ChangeRule, Condition, Rule, paths_of
from consumer.core.mapping.paths import Path, Source
from consumer.core.mapping.problems import Place, Problem, Problems

_OF_A_CHANGE = ("segment_id", "action", "id", "id_type")
_OF_A_RULE = ("when", "each", *_OF_A_CHANGE, "change")


def rules_of(
    table: Table, segments: Mapping[str, int] | None, default_id_type: IdType
) -> list[Rule] | list[Problem]:
    """Return the rules of a mapping, or its problems in the order of the file."""
    parser = _Parser(segments, default_id_type)
    rules = parser.rules(table)
    return parser.problems.found or rules


class _Parser:
    def __init__(self, segments: Mapping[str, int] | None, default_id_type: IdType) -> None:
        self.problems = Problems()
        self._forms = Forms(self.problems, segments, default_id_type)

    def rules(self, table: Table) -> list[Rule]:
        self.problems.unknown_keys(table, ("rule",), Place())
        given = table.get("rule")
        if isinstance(given, dict):
            self.problems.add(Place(key="rule"), "a table: [[rule]], in two brackets, begins one")
        elif not isinstance(given, list) or not given:
            self.problems.add(Place(key="rule"), "missing: [[rule]] begins one")
        else:
            rules = [self._rule(each, Place(number)) for number, each in enumerate(given, 1)]
            found = [rule for rule in rules if rule is not None]
            self._look_for_unreachable(found)
            return found
        return []

    def _rule(self, given: object, place: Place) -> Rule | None:
        if not isinstance(given, dict):
            self.problems.add(place, f"{kind_of(given)}: a rule is a table")
            return None
        self.problems.unknown_keys(given, _OF_A_RULE, place)
        when = self._conditions(given.get("when", {}), place.at("when"))
        each = self._walks(given, place)
        changes = self._changes(given, place, len(each))
        rule = Rule(place.rule or 0, tuple(when), tuple(each), tuple(changes))
        if rule.reads_no_value:
            self._look_for_values(rule, place)
        return rule

    def _conditions(self, given: object, place: Place) -> list[Condition]:
        if not isinstance(given, dict):
            self.problems.add(place, f"{kind_of(given)}: a table of paths")
            return []
        found: list[Condition] = []
        for text, wanted in given.items():
            found += self._condition(text, wanted, place.at(text))
        return found

    def _condition(self, text: str, wanted: object, place: Place) -> list[Condition]:
        """Understand one condition; tables inside of it come of keys with dots (``a.b = 1``)."""
        if isinstance(wanted, dict) and wanted.keys() != {"exists"}:
            if not wanted:
                self.problems.add(place, "an empty table: { exists = true }, or a value")
            return [
                condition
                for inner, value in wanted.items()
                for condition in self._condition(f"{text}.{inner}", value, place.at(inner))
            ]
        path = self._forms.path(text, place, 0)
        if isinstance(wanted, dict):
            exists = wanted["exists"]
            if not isinstance(exists, bool):
                self.problems.add(place.at("exists"), f"{kind_of(exists)}: true or false")
            return [Condition(path, None, exists=exists is True)] if path else []
        words = self._forms.words(wanted, place)
        return [Condition(path, frozenset(words))] if path else []

    def _walks(self, table: Table, place: Place) -> list[Path]:
        if "each" not in table:
            return []
        given, place = table["each"], place.at("each")
        walks = given if isinstance(given, list) else [given]
        if not 0 < len(walks) <= MOST_WALKS:
            self.problems.add(place, f"{len(walks)} walks: 1 to {MOST_WALKS}")
        found = []
        for depth, text in enumerate(walks):
            path = self._forms.path(text, place, depth)
            if path and path.source is not Source.VALUE:
                self.problems.add(place, f'"{path}": only what is in the value can be walked')
                path = None
            # what is wrong is walked too: so the paths inside are looked at as they are meant
            found.append(path or Path("$", Source.VALUE, 0, ()))
        return found

    def _changes(self, table: Table, place: Place, depth: int) -> list[ChangeRule]:
        if "change" not in table:
            change = self._change(table, place, depth)
            return [change] if change else []
        for key in _OF_A_CHANGE:
            if key in table:
                self.problems.add(place.at(key), "belongs into the rule's changes, as it has some")
        given = table["change"]
        if not isinstance(given, list) or not given:
            what = "empty" if given == [] else f"{kind_of(given)}: [[rule.change]] begins one"
            self.problems.add(place.at("change"), what)
            return []
        found = []
        for number, each in enumerate(given, 1):
            at = Place(place.rule, number)
            if not isinstance(each, dict):
                self.problems.add(at, f"{kind_of(each)}: a change is a table")
                continue
            self.problems.unknown_keys(each, _OF_A_CHANGE, at)
            found.append(self._change(each, at, depth))
        return [change for change in found if change]

    def _change(self, table: Table, place: Place, depth: int) -> ChangeRule | None:
        for key in ("segment_id", "action"):
            if key not in table:
                self.problems.add(place.at(key), "missing")
        segment_id = action = None
        if "segment_id" in table:
            segment_id = self._forms.segment_id(table["segment_id"], place.at("segment_id"), depth)
        if "action" in table:
            action = self._forms.action(table["action"], place.at("action"), depth)
        ids = self._forms.ids(table, place, depth)
        if segment_id is None or action is None or not ids:
            return None
        return ChangeRule(str(place), segment_id, action, ids)

    def _look_for_values(self, rule: Rule, place: Place) -> None:
        for path, _ in paths_of(rule):
            if path.source is Source.VALUE and path.steps:
                what = f'"{path}" leads nowhere: the rule is for records without a value'
                self.problems.add(place, what)
        if rule.each:
            self.problems.add(place.at("each"), "the rule is for records without a value")

    def _look_for_unreachable(self, rules: list[Rule]) -> None:
        """Say which rules no record gets to, as one before them fits all of those with a value."""
        every = next((rule.number for rule in rules if not rule.when), None)
        for rule in rules:
            if every is not None and rule.number > every and not rule.reads_no_value:
                what = f"no record gets here: rule {every} has no conditions and fits all"
                self.problems.add(Place(rule.number), what)
