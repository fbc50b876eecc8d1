"""Reading and drawing eval items."""

import json
from collections import Counter
from pathlib import Path

import pytest

from guard.api.suites import Dataset, EvalSuite
from guard.errors import ConfigurationError
from suites.eval.dataset import SHIPPED, dataset_digest, draw, items_of, read_items
from suites.eval.graders import grade

GOOD = {"id": "a-1", "family": "a", "prompt": "Say yes.", "answer": "yes", "grader": "word"}


def _settings(**values: object) -> EvalSuite:
    return EvalSuite.model_validate({"name": "eval", **values})


def _file(folder: Path, *documents: object) -> Path:
    file = folder / "own.jsonl"
    lines = [d if isinstance(d, str) else json.dumps(d) for d in documents]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_shipped_items_are_many_short_and_gradable() -> None:
    items = read_items(SHIPPED)
    assert len(items) >= 60
    assert len({item.family for item in items}) >= 5
    for item in items:
        answer = json.dumps(item.answer) if item.grader == "json" else item.answer
        assert grade(item.grader, answer, item.answer), f"{item.id}: its own answer is graded wrong"
        assert item.max_tokens <= 16
        assert sum(len(message["content"].split()) for message in item.messages()) < 100


def test_no_item_holds_its_question_among_its_examples() -> None:
    for item in read_items(SHIPPED):
        assert item.prompt not in {question for question, _ in item.examples}, item.id


def test_examples_are_sent_as_earlier_turns(tmp_path: Path) -> None:
    document = GOOD | {"system": "Be brief.", "examples": [["Say no.", "no"]]}
    item = read_items(_file(tmp_path, document))[0]
    assert [message["role"] for message in item.messages()] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ([GOOD, GOOD | {"id": "b", "promt": "x"}], "own.jsonl:2: promt: unknown key; did you mean 'prompt'?"),
        ([{k: v for k, v in GOOD.items() if k != "family"}], "own.jsonl:1: family: Field required"),
        ([GOOD | {"grader": "vibes"}], "own.jsonl:1: grader: "),
        ([GOOD | {"maxTokens": "many"}], "own.jsonl:1: maxTokens: expected a whole number"),
        ([GOOD | {"answer": 4}], "answer: the grader 'word' needs a string"),
        ([GOOD | {"grader": "json"}], "answer: the grader 'json' needs a JSON object or array"),
        ([GOOD, "", GOOD], "own.jsonl:3: id: 'a-1' stands twice"),
        ([GOOD, "{"], "own.jsonl:2: not JSON"),
        (["[]"], "own.jsonl:1: expected a mapping"),
        ([""], "own.jsonl: no items"),
    ],
)
def test_unusable_file_is_refused_by_line_and_key(tmp_path: Path, lines: list[object], refusal: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_items(_file(tmp_path, *lines))
    assert refusal in str(refused.value)


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none.jsonl: No such file"):
        items_of(_settings(dataset={"file": "none.jsonl"}), tmp_path)


def test_config_map_is_refused_where_there_is_no_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="configMap"):
        items_of(_settings(dataset=Dataset(config_map="evals")), tmp_path)


def test_draw_depends_on_the_seed_and_not_on_the_order_of_the_file() -> None:
    items = read_items(SHIPPED)
    one = draw(items, _settings(items=16, seed=3))
    assert draw(items[::-1], _settings(items=16, seed=3)) == one
    assert draw(items, _settings(items=16, seed=4)) != one
    assert dataset_digest(one) != dataset_digest(one[:15])


def test_draw_takes_as_many_of_each_family_as_possible() -> None:
    items = read_items(SHIPPED)
    drawn = draw(items, _settings(items=16, families=["copy", "json", "route"]))
    assert Counter(item.family for item in drawn) == {"copy": 6, "json": 5, "route": 5}
    assert draw(items, _settings(items=0, families=["copy"])) == draw(
        items, _settings(items=99, families=["copy"])
    )


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"ropes: the items have .*route"):
        draw(read_items(SHIPPED), _settings(families=["ropes"]))
