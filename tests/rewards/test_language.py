"""Guards the language reward: known languages, what is left out, and what it cannot tell."""

import subprocess
import sys

import pytest

pytest.importorskip("py3langid", reason="py3langid is an extra: pip install 'rlkit[language]'")

from rewards.language import Language, language, share_in

TEXTS = {
    "en": "First we add the two numbers of apples, and then we subtract those that she has eaten.",
    "de": "Zuerst addieren wir die beiden Zahlen der Äpfel, dann ziehen wir die gegessenen ab.",
    "fr": "D'abord nous additionnons les deux nombres de pommes, puis nous retirons les mangées.",
    "zh": "首先我们把两个苹果的数量相加、然后减去她已经吃掉的那些苹果、最后得到剩下的苹果的数量。",
}


@pytest.mark.parametrize("code", TEXTS)
def test_each_text_is_in_its_own_language_only(code):
    codes = list(TEXTS)
    assert language([TEXTS[code]] * 4, language=codes) == [float(code == other) for other in codes]
    assert Language(code)([TEXTS[code]]) == [1.0]


def test_a_mixture_gets_its_share():
    mixed = TEXTS["en"] * 10 + TEXTS["zh"] * 10  # 720 letters and about 400
    share = share_in("en", mixed)
    assert share is not None and 0.4 < share < 0.9
    assert 0.9 < share + (share_in("zh", mixed) or 0) <= 1.0


def test_code_and_formulas_do_not_count():
    foreign = TEXTS["de"]
    for wrapped in (f"```{foreign}```", f"${foreign}$", rf"\[{foreign}\]", rf"\text{{{foreign}}}"):
        assert share_in("en", f"{TEXTS['en']} {wrapped}") == 1.0
        assert share_in("en", wrapped) is None


@pytest.mark.parametrize("text", ["", "12 + 4 = 16", r"\boxed{16}", "ok", "\ud800\x00"])
def test_too_little_prose_is_unscorable(text):
    assert language([text], language=["en"]) == [None]


def test_rows_without_a_language_are_unscorable_and_unknown_ones_are_named():
    assert language([TEXTS["en"]], language=[None]) == [None]
    with pytest.raises(ValueError, match="language 'xx' is not one of"):
        language([TEXTS["en"]], language=["xx"])
    with pytest.raises(ValueError, match="needs a column language"):
        language([TEXTS["en"]])


def test_a_missing_package_names_the_extra():
    code = (
        "import sys; sys.modules['py3langid'] = None\n"
        "from rewards.language import language\n"
        "try: language(['a'], language=['en'])\n"
        "except ValueError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'rlkit[language]'" in result.stdout
