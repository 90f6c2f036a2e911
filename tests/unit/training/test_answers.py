"""What automatic answers are measured with."""

from rules.text import normalise
from services.router.reading import Reader
from tests.fakes_router import policies
from training.corpus import held_out_texts
from training.evaluate_answers import answered, labelled

ANSWERS = policies()["default"].answers


def test_every_label_is_a_topic_of_the_policy_and_every_held_out_question_is_one() -> None:
    topics = {"", *(topic.name for topic in ANSWERS.topics)}
    questions = {row.text for row in held_out_texts() if row.intent == "question"}
    held_out = labelled("held_out_topics.jsonl")
    assert set(held_out) <= questions
    assert {*held_out.values(), *labelled("paraphrases.jsonl").values()} <= topics


def test_nothing_that_is_measured_is_an_example_of_the_policy() -> None:
    examples = {normalise(each) for topic in ANSWERS.topics for each in topic.examples} | set(
        map(normalise, ANSWERS.others)
    )
    measured = {*labelled("held_out_topics.jsonl"), *labelled("paraphrases.jsonl")}
    assert not {normalise(text).rstrip("?。") for text in measured} & examples


def test_complaints_nobody_has_trained_on_get_hardly_any_answer() -> None:
    complaints = {row.text: "" for row in held_out_texts() if row.intent == "complaint"}
    wrong = [each for each in answered(complaints, policies()["default"], Reader()) if each.given]
    assert len(complaints) > 1000
    assert len(wrong) <= len(complaints) // 200
