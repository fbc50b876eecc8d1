from guard.load.prompts import prompt


def test_a_prompt_has_about_as_many_words_as_asked() -> None:
    assert {len(prompt(0, index, 20).split()) for index in range(50)} == {20}
    assert len(prompt(0, 1, 300).split()) == 300


def test_a_very_short_prompt_is_still_a_task() -> None:
    assert prompt(0, 1, 0).endswith("plain words.")


def test_prompts_differ_from_their_first_word_on() -> None:
    assert len({prompt(0, index, 20).split()[0] for index in range(2000)}) == 2000


def test_the_same_request_is_the_same_prompt_and_another_seed_another() -> None:
    assert prompt(7, 3, 20) == prompt(7, 3, 20)
    assert prompt(7, 3, 20) != prompt(8, 3, 20)
