"""The portal's words: complete in both languages."""

import re
import string

import pytest

from plantgate_hub.domain.diagnosis import Cause, Fixer, Hop, Result, Way
from plantgate_hub.domain.model import Job, RouteReason, RouteState
from plantgate_hub.portal.catalogue import TEXTS, Language, choose, translator
from plantgate_hub.proxy.problems import STATUS, Problem


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things():
    for key, (english, german) in TEXTS.items():
        assert fields(english) == fields(german), key
        assert bool(english) == bool(german), key


def test_everything_that_can_be_shown_has_words():
    wanted = {f"{problem.value}.{part}" for problem in Problem for part in ("title", "text")}
    wanted |= {f"job.{job.name}" for job in Job} | {f"state.{state.name}" for state in RouteState}
    wanted |= {f"{what}.{reason.name}" for what in ("reason", "remedy") for reason in RouteReason}
    assert wanted <= set(TEXTS)


def test_the_way_to_a_device_has_words_for_all_that_can_be_found():
    wanted = {f"{kind.__name__.lower()}.{member.name}" for kind in (Way, Hop, Result, Cause, Fixer) for member in kind}
    wanted |= {f"cause.{cause.name}.do" for cause in Cause}
    assert wanted <= set(TEXTS)
    said = {TEXTS[f"cause.{cause.name}"] for cause in Cause if cause is not Cause.NONE}
    assert len(said) == len(Cause) - 1
    assert ("", "") not in said


def test_every_problem_of_the_proxy_has_a_status():
    assert set(STATUS) == set(Problem)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", Language.GERMAN),
        ("de-CH;q=0.7, en-GB;q=0.3", Language.GERMAN),
        ("fr, en;q=0.5, de;q=0.4", Language.ENGLISH),
        ("de;q=0", Language.ENGLISH),
        ("de;q=much", Language.ENGLISH),
        ("", Language.ENGLISH),
        ("*", Language.ENGLISH),
    ],
)
def test_the_browsers_language(accepted: str, language: Language):
    assert choose(accepted) is language


def test_texts_take_their_fields():
    assert re.search("7 s", translator(Language.GERMAN)("throttled", seconds=7))
