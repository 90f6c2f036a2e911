"""Whatever is wrong with a policy file is said with file, line, field, what was expected and what was found."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from common.policyfiles import PolicyError, from_json, load_all, load_brand, main, to_json
from tests.unit.policies.conftest import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policies that a test may spoil."""
    copy = tmp_path / "policies"
    for brand in ("default", "demo"):
        (copy / brand).mkdir(parents=True)
        for path in (ROOT / brand).glob("*.yaml"):
            shutil.copy(path, copy / brand)
    return copy


def spoil(folder: Path, file: str, old: str, new: str) -> int:
    """Replace the first `old` in `default/<file>`; the line (from 1) where it was."""
    path = folder / "default" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def problems(folder: Path) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_brand(folder / "default")
    return [str(each).removeprefix(f"{folder}/") for each in caught.value.problems]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        pytest.param(
            "sla.yaml", "first_response: 10m", "first_response: ten minutes",
            'policies[0].targets.first_response: expected a duration such as 30s, 10m, 2h or 3d, found "ten minutes"',
            id="wrong duration text",
        ),
        pytest.param(
            "sla.yaml", "first_response: 10m", "first_response: 600",
            "policies[0].targets.first_response: expected a duration such as 30s, 10m, 2h or 3d, found 600",
            id="duration without a unit",
        ),
        pytest.param(
            "sla.yaml", "first_response: 10m", "first_response: 0s",
            "policies[0].targets.first_response: expected a duration above zero, found none for priority urgent",
            id="no duration at all",
        ),
        pytest.param(
            "sla.yaml", "    warnAt: [50, 80]", "    noAnswerAfter: soon\n    warnAt: [50, 80]",
            'policies[0].noAnswerAfter: expected a duration after the reminder such as 24h (the default), when the '
            'ticket closes as unanswered, or never, found "soon"',
            id="no time to close an unanswered ticket",
        ),
        pytest.param(
            "sla.yaml", "    warnAt: [50, 80]", "    noAnswerAfter: 0s\n    warnAt: [50, 80]",
            "policies[0].noAnswerAfter: expected a duration above zero, found none",
            id="reminded and closed at once",
        ),
        pytest.param(
            "sla.yaml", "first_response: 10m", "first_respones: 10m",
            "policies[0].targets.first_respones: expected first_response (one of routing, assignment, first_response, "
            "next_response, update, resolution, callback), found the unknown key first_respones",
            id="unknown metric, with the one that was meant",
        ),
        pytest.param(
            "sla.yaml", "calendar: always", "calendar: allways",
            "policies[0].calendar: expected a calendar of calendars.yaml (always, office), found allways",
            id="unknown calendar",
        ),
        pytest.param(
            "orders.yaml", "ticketOver: 2h", "ticketOver: two hours",
            'ticketOver: expected a duration such as 30s, 10m, 2h or 3d, found "two hours"',
            id="a late order's bound",
        ),
        pytest.param(
            "orders.yaml", "etaStep: 10m", "etaStep: 0s",
            "etaStep: expected a duration above zero, found none",
            id="a step of nothing",
        ),
        pytest.param(
            "orders.yaml", "forgetAfter: 7d", "forgetAfter: 1h",
            "forgetAfter: expected more than 2:00:00, found 1:00:00",
            id="forgotten before its ticket",
        ),
        pytest.param(
            "orders.yaml", "keepFacts: 90d", "keepFacts: 29d",
            "keepFacts: expected at least 30 days, 0:00:00 (claimWindow, capDays), found 29 days, 0:00:00",
            id="an order forgotten while the caps count it",
        ),
        pytest.param(
            "orders.yaml", "riskAbovePercent: 50", "riskAbovePercent: 101",
            "riskAbovePercent: expected at most 100, found 101",
            id="a likelihood above certainty",
        ),
        pytest.param(
            "sla.yaml", "level: 2", "level: 3",
            "policies[0].escalation.levels[1].level: expected level 2 (levels count up from 1), found 3",
            id="level order",
        ),
        pytest.param(
            "sla.yaml", "warnAt: [50, 80]", "warnAt: [80, 50]",
            "policies[0].warnAt: expected ascending percents, found 80, 50",
            id="warning points out of order",
        ),
        pytest.param(
            "sla.yaml", "oncall:emergency", "oncall:nobody",
            "policies[0].escalation.levels[1].notify: expected somebody who can be told (assignee, queue_lead, "
            "role:agent, role:supervisor, role:admin, oncall:emergency), found oncall:nobody",
            id="unknown on-call schedule",
        ),
        pytest.param(
            "sla.yaml", "when: {red: true}", "when: {}",
            "policies[1]: expected a row that can be reached, found row 1 always matches first",
            id="unreachable policy",
        ),
        pytest.param(
            "sla.yaml", "  - name: ordinary\n", "  - name: ordinary\n    when: {red: false}\n",
            "policies[2]: expected a last row without conditions (when), found one with some",
            id="last policy with a condition",
        ),
        pytest.param(
            "routing.yaml", "queue: technology", "queue: tecnology",
            "expected a queue of this file (quality_control, legal, logistics, logistics_training, technology, "
            "customer_service), found tecnology",
            id="unknown queue",
        ),
        pytest.param(
            "routing.yaml", "keywords: [very_late]", "keywords: [late]",
            "when.keywords: expected a group of keywords.yaml (food_safety, illness, very_late",
            id="unknown group of keywords",
        ),
        pytest.param(
            "answers.yaml", "送达。\n", "送达{when}。\n",
            "topics[0].answers[0].zh-CN: expected one of {status}, {promised}, {eta}, found {when}",
            id="an answer with a variable that nobody knows",
        ),
        pytest.param(
            "answers.yaml", "您可以在“我的订单”里查看", "您可以在{status}里查看",
            "topics[0].answers[3].zh-CN: expected a last form without variables: what is said where nothing is known",
            id="an answer that always needs to know something",
        ),
        pytest.param(
            "answers.yaml", "您的订单{status},预计", "您的订单{status,预计",
            "topics[0].answers[0].zh-CN: expected a text with no braces but those of {status}, {promised}, {eta}",
            id="an answer with a brace too many",
        ),
        pytest.param(
            "answers.yaml", "- 能开发票吗", "- 怎么退款",
            "expected an example of one topic only, found one of how-to-refund too",
            id="the same example for two topics",
        ),
        pytest.param(
            "answers.yaml", "threshold: 0.3", "threshold: 50",
            "threshold: expected at most 1, found 50",
            id="a threshold in percent",
        ),
        pytest.param(
            "routing.yaml", "priority: urgent", "priority: very urgent",
            'rules[0].priority: expected one of urgent, high, normal, low, found "very urgent"',
            id="unknown priority",
        ),
        pytest.param(
            "compensation.yaml", "currency: CNY", "currency: USD",
            'rules[0].pay.currency: expected the brand\'s currency CNY, found "USD"',
            id="foreign money",
        ),
        pytest.param(
            "compensation.yaml", "amountMinor: 1000}", "amountMinor: 10.50}",
            "rules[0].pay.amountMinor: expected a whole number of minor units (fen), found 10.5",
            id="money that isn't in minor units",
        ),
        pytest.param(
            "compensation.yaml", "lateOver: 60m", "scoreAtLeast: 3",
            "rules[1].trigger.scoreAtLeast: expected scoreAtLeast only with kind: rating, found kind: order_late",
            id="a condition of another trigger",
        ),
        pytest.param(
            "compensation.yaml", "points: 50", "points: 50\n    pay: {currency: CNY, amountMinor: 1}",
            "rules[4]: expected a rule with exactly one of pay and points, found a mapping",
            id="two ways to pay",
        ),
        pytest.param(
            "calendars.yaml", '"09:00-12:00"', '"9-12"',
            "calendars[1].weekly.mon[0]: expected a range of a day such as 09:00-12:00 (24:00 is midnight), "
            'found "9-12"',
            id="wrong hours",
        ),
        pytest.param(
            "calendars.yaml", '"13:00-18:00"', '"11:00-18:00"',
            "calendars[1].weekly.mon: expected ranges in ascending order that don't overlap, found some that do",
            id="overlapping hours",
        ),
        pytest.param(
            "calendars.yaml", "madeUpAs: mon", "closed: [2026-02-30]",
            'calendars[1].closed[0]: expected a date such as 2026-10-01, found "2026-02-30"',
            id="a date that doesn't exist",
        ),
        pytest.param(
            "calendars.yaml", "timeZone: Asia/Shanghai", "timeZone: Asia/Atlantis",
            "calendars[1].timeZone: expected an IANA time zone such as Asia/Shanghai, found Asia/Atlantis",
            id="unknown time zone",
        ),
        pytest.param(
            "brand.yaml", "key: default", "key: other",
            'key: expected the folder\'s name default, found "other"',
            id="key unlike the folder",
        ),
        pytest.param(
            "brand.yaml", "currency: CNY\n", "", "currency: expected this key, found nothing",
            id="missing key",
        ),
        pytest.param(
            "keywords.yaml", "name: illness", "name: food_safety",
            'groups[1].name: expected a name that no other item has, found "food_safety"',
            id="name twice",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(folder: Path, file: str, old: str, new: str, said: str) -> None:
    line = spoil(folder, file, old, new)
    found = problems(folder)
    assert any(said in each for each in found), found
    if "last row" not in said and "row that" not in said and "nothing" not in said and "exactly one" not in said:
        assert any(each.startswith(f"default/{file}:{line}: ") and said in each for each in found), (line, found)


def test_a_key_twice_is_refused_with_both_lines(folder: Path) -> None:
    line = spoil(folder, "brand.yaml", "currency: CNY\n", "currency: CNY\ncurrency: EUR\n")
    assert problems(folder)[0] == (
        f"default/brand.yaml:{line + 1}: currency: expected each key once, found it on line {line} too"
    )


def test_bad_yaml_is_named_by_its_line(folder: Path) -> None:
    line = spoil(folder, "sla.yaml", "when: {red: true}", "when: {red: true")
    said = problems(folder)[0]
    assert said.startswith("default/sla.yaml:")
    assert "expected valid YAML" in said
    assert line <= int(said.split(":")[1]) <= line + 1


@pytest.mark.parametrize("content", [b"", b"- a\n", b"\xff\xfe\x00", b"a: \x07\n", b"a: &a [*a]\n", b"a: !!int x\n"])
def test_a_file_that_is_no_mapping_of_text_is_refused(folder: Path, content: bytes) -> None:
    (folder / "default" / "calendars.yaml").write_bytes(content)
    assert any(each.startswith("default/calendars.yaml:1:") for each in problems(folder))


def test_all_problems_of_all_files_are_reported_at_once(folder: Path) -> None:
    spoil(folder, "sla.yaml", "first_response: 10m", "first_response: soon")
    spoil(folder, "routing.yaml", "priority: urgent", "priority: now")
    spoil(folder, "keywords.yaml", "- 变质", "- '*变质'")
    assert {each.split(":")[0] for each in problems(folder)} == {
        "default/sla.yaml", "default/routing.yaml", "default/keywords.yaml",
    }  # fmt: skip


def test_an_unknown_or_missing_file_is_named(folder: Path) -> None:
    (folder / "default" / "slas.yaml").write_text("a: 1\n", encoding="utf-8")
    (folder / "default" / "keywords.yaml").unlink()
    found = problems(folder)
    assert "default/keywords.yaml:1: expected this file, found none" in found
    assert any(each.startswith("default/slas.yaml:1: expected one of brand.yaml") for each in found)


def test_a_brand_may_do_without_answers(folder: Path) -> None:
    (folder / "default" / "answers.yaml").unlink()
    assert not load_brand(folder / "default").answers.enabled


def test_what_a_machine_answers_is_part_of_the_policies_hash_and_comes_back_from_json(folder: Path) -> None:
    before = load_brand(folder / "default")
    assert from_json(to_json(before)) == before
    spoil(folder, "answers.yaml", "threshold: 0.3", "threshold: 1")
    after = load_brand(folder / "default")
    assert after.hash != before.hash
    assert from_json(to_json(after)) == after


def test_yaml_words_that_other_readers_change_stay_as_written(folder: Path) -> None:
    spoil(folder, "keywords.yaml", "- 变质", "- on\n      - 变质")
    (folder / "default" / "calendars.yaml").write_text(
        "calendars:\n  - name: always\n    always: true\n  - name: night\n    weekly: {mon: [22:00-24:00]}\n"
        "    closed: [2026-10-01]\n",
        encoding="utf-8",
    )
    loaded = load_brand(folder / "default")
    assert loaded.keywords.groups[0].terms[0] == "on"
    assert loaded.calendars["night"].dates[0].date.isoformat() == "2026-10-01"


@pytest.mark.parametrize(("first", "second", "sound"), [("240m", "120m", True), ("120m", "240m", False)])
def test_a_bound_behind_a_wider_one_is_unreachable(folder: Path, first: str, second: str, sound: bool) -> None:
    own = "rules:\n" + "".join(
        f"  - {{name: late-{bound}, trigger: {{kind: order_late, lateOver: {bound}}}, reason: late, points: 5}}\n"
        for bound in (first, second)
    )
    (folder / "demo" / "compensation.yaml").write_text(own, encoding="utf-8")
    if sound:
        names = [rule.name for rule in load_brand(folder / "demo").compensation.rules]
        assert names[:2] == [f"late-{first}", f"late-{second}"]
    else:
        with pytest.raises(PolicyError, match=f"a rule that can be reached, found late-{first} always matches first"):
            load_brand(folder / "demo")


def test_extends_takes_over_what_the_brand_does_not_say(folder: Path) -> None:
    spoil(folder, "sla.yaml", "warnAt: [50, 80]", "warnAt: [25]")
    loaded = load_all(folder)
    assert [each.sla[0].targets[p][0].warn_percent for each in loaded.values() for p in each.sla[0].targets] == [
        (25,)
    ] * 8
    assert loaded["demo"].keywords == loaded["default"].keywords
    assert loaded["demo"].brand.extends == "default"


def test_a_new_rule_of_an_extending_brand_comes_before_the_inherited_ones(folder: Path) -> None:
    own = (
        "policies:\n  - name: gold\n    when: {tiers: [gold]}\n    calendar: always\n    warnAt: [50]\n"
        "    targets: {routing: 1s, first_response: 1s, resolution: 9s}\n"
        "    escalation: {levels: [{level: 1, after: 0s, notify: [assignee], ways: [sms]}]}\n"
    )
    (folder / "demo" / "sla.yaml").write_text(own, encoding="utf-8")
    assert [policy.name for policy in load_brand(folder / "demo").sla] == ["gold", "red", "complex", "ordinary"]


def test_a_problem_in_an_inherited_file_names_that_file(folder: Path) -> None:
    spoil(folder, "sla.yaml", "update: 24h", "update: daily")
    (folder / "demo" / "sla.yaml").unlink()
    with pytest.raises(PolicyError, match=r"default/sla\.yaml:\d+: policies\[1\]\.targets\.update"):
        load_brand(folder / "demo")


@pytest.mark.parametrize("base", ["demo", "nowhere", "../default"])
def test_a_brand_extends_an_existing_other_brand(folder: Path, base: str) -> None:
    (folder / "demo" / "brand.yaml").write_text(f"extends: {base}\nkey: demo\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"demo/brand\.yaml:1: extends: expected "):
        load_brand(folder / "demo")


def test_the_command_prints_ok_or_the_problems(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.startswith("OK default ")
    spoil(folder, "brand.yaml", "currency: CNY", "currency: yuan")
    assert main([str(folder)]) == 1
    assert 'brand.yaml:7: currency: expected an ISO 4217 code such as CNY, found "yuan"' in capsys.readouterr().err


def test_a_folder_without_brands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="a folder for each brand"):
        load_all(tmp_path)


@pytest.mark.parametrize("path", sorted((ROOT / "schema").glob("*.json")), ids=lambda path: path.stem)
def test_the_schemas_are_valid(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
