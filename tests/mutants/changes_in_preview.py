"""Wrong changes to the preview: what it shows, what it keeps to itself, what it thinks of it."""

from tests.mutants.mutant import Mutant

_FOLDER = "consumer/commands/preview"
_TESTS = "tests/test_preview.py"

PREVIEW: tuple[Mutant, ...] = (
    Mutant(
        name="pretty-printed-records-are-not-known",
        breaks="a preview says how a file has to be",
        file="consumer/commands/preview/sources.py",
        old="is_spread = line.content.strip() in _OPEN",
        new="is_spread = False",
        tests=("tests/test_preview.py",),
    ),
    Mutant(
        name="a-record-that-is-refused-in-part-counts-as-whole",
        breaks="contract: preview",
        file=f"{_FOLDER}/sample.py",
        old="is_clean = not self.detail and not any(change.invalid for change in self.changes)",
        new="is_clean = not self.detail",
        tests=(f"{_TESTS}::test_invalid_ids_are_as_they_are_written",),
    ),
    Mutant(
        name="ids-are-shown-unasked",
        breaks="contract: preview",
        file=f"{_FOLDER}/table.py",
        old="if self._show_ids and change.ids:",
        new="if change.ids:",
        tests=(f"{_TESTS}::test_columns_are_aligned_and_no_id_is_shown",),
    ),
    Mutant(
        name="invalid-ids-are-shown-unasked",
        breaks="contract: preview",
        file=f"{_FOLDER}/table.py",
        old="""            if self._show_ids:
                text +=""",
        new="""            if change.invalid:
                text +=""",
        tests=(f"{_TESTS}::test_columns_are_aligned_and_no_id_is_shown",),
    ),
    Mutant(
        name="programs-get-ids-unasked",
        breaks="contract: preview",
        file=f"{_FOLDER}/for_programs.py",
        old="if show_ids else {}",
        new="if change.ids else {}",
        tests=(f"{_TESTS}::test_programs_get_the_same_without_ids_unless_they_are_asked_for",),
    ),
    Mutant(
        name="an-id-commands-the-terminal",
        breaks="it shows what there is",
        file=f"{_FOLDER}/table.py",
        old="text, colour = printable(text), COLOURS[what]",
        new="text, colour = text, COLOURS[what]",
        tests=(f"{_TESTS}::test_a_terminal_gets_no_commands_from_an_id",),
    ),
    Mutant(
        name="requests-count-what-is-taken-back",
        breaks="contract: preview",
        file=f"{_FOLDER}/tally.py",
        old="-(-ids // batch_max_ids) for lane in self._last.values() for ids in _by_action(lane)",
        new="-(-each.ids // batch_max_ids) for each in self.sums.values()",
        tests=(f"{_TESTS}::test_requests_are_of_each_ids_last_word_and_no_larger_than_a_batch",),
    ),
    Mutant(
        name="a-silent-registry-is-the-records-fault",
        breaks="contract: schema-registry",
        file=f"{_FOLDER}/sample.py",
        old="case Malformed(detail) if detail in waiting:",
        new="case Malformed(detail) if detail in ():",
        tests=(f"{_TESTS}::test_what_the_registry_does_not_say_waits_and_is_not_malformed",),
    ),
    Mutant(
        name="a-failed-registry-is-asked-for-each-schema",
        breaks="it ends soon",
        file=f"{_FOLDER}/schemas.py",
        old="self._failed or self._within_patience(prefix)",
        new="self._within_patience(prefix)",
        tests=(f"{_TESTS}::test_a_registry_that_fails_is_asked_no_more",),
    ),
    Mutant(
        name="one-unusable-schema-stops-all",
        breaks="it shows what there is",
        file=f"{_FOLDER}/schemas.py",
        old="if not found.detail.startswith(_UNUSABLE):",
        new="if found.detail:",
        tests=(f"{_TESTS}::test_a_schema_that_is_of_no_use_is_nothing_against_the_others",),
    ),
    Mutant(
        name="trouble-with-a-topic-is-a-success",
        breaks="contract: preview",
        file=f"{_FOLDER}/verdict.py",
        old="0 if tally.read and all_readable and not has_trouble else 1",
        new="0 if tally.read and all_readable else 1",
        tests=(f"{_TESTS}::test_trouble_with_a_topic_is_no_success_whatever_else_was_read",),
    ),
    Mutant(
        name="nothing-found-is-a-success",
        breaks="contract: preview",
        file=f"{_FOLDER}/verdict.py",
        old="0 if tally.read and all_readable and not has_trouble else 1",
        new="0 if all_readable and not has_trouble else 1",
        tests=(f"{_TESTS}::test_the_verdict_is_one_sentence",),
    ),
    Mutant(
        name="what-concerns-nobody-is-a-hint",
        breaks="the hint helps",
        file=f"{_FOLDER}/verdict.py",
        old='(Counter() if tally.fit else tally.hints["ignored"])',
        new='tally.hints["ignored"]',
        tests=(f"{_TESTS}::test_the_preset_that_most_of_what_is_not_read_looks_like_is_named",),
    ),
    Mutant(
        name="the-preset-in-use-is-a-hint",
        breaks="the hint helps",
        file=f"{_FOLDER}/sample.py",
        old='return None if known and known.endswith(f"={mapping}") else known',
        new="return known",
        tests=(f"{_TESTS}::test_what_reads_it_already_is_no_hint",),
    ),
)
