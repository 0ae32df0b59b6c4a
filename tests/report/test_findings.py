"""Guards what a comparison says in words, on summaries made by hand."""

import pytest

from rlkit.report.findings import plot_ratios, sentences, told_target


def cost(ratio, low, high, verdict, bound=None, reached=3):
    return {"ratio": ratio, "interval": [low, high], "verdict": verdict, "bound": bound, "reached": reached}


def summary(**others):
    """Curricula with one cost each, on rollouts and seconds alike, to 0.7; nothing reached 0.9."""

    def entry(told):
        return {
            "runs": 3,
            "cost": {
                "0.7": dict.fromkeys(("rollouts", "seconds"), told),
                "0.9": dict.fromkeys(("rollouts", "seconds"), cost(None, None, None, "not known", reached=0)),
            },
        }

    base = cost(1.0, 1.0, 1.0, "no difference shown")
    return {
        "baseline": "uniform",
        "curricula": {"uniform": entry(base), **{name: entry(told) for name, told in others.items()}},
    }


def test_a_sentence_says_what_was_found():
    told = summary(
        rlkit=cost(0.63, 0.6, 0.66, "cheaper"),
        dapo=cost(1.8, 1.5, 2.1, "dearer", "at least"),
        ssb=cost(0.97, 0.9, 1.05, "no difference shown"),
        odf=cost(None, None, None, "not known"),
    )
    assert told_target(told) == "0.7"
    times = {
        "rlkit": "x0.63 [0.60 to 0.66]",
        "dapo": "at least x1.80 [1.50 to 2.10]",
        "ssb": "x0.97 [0.90 to 1.05]",
    }
    words = {"rlkit": "saves", "dapo": "is worse", "ssb": "no difference shown"}
    assert sentences(told) == [
        *(
            f"**{name}** {words[name]}: {ratio} of uniform's rollouts to 0.7, {ratio} of its seconds."
            for name, ratio in times.items()
        ),
        "**odf**: no pair of runs says anything, since neither reached 0.7.",
    ]


@pytest.mark.parametrize(
    "others", [{}, {"rlkit": cost(0.63, 0.6, 0.66, "cheaper")}, {"odf": cost(None, None, None, "not known")}]
)
def test_the_picture_is_drawn_whatever_is_known(tmp_path, others):
    plot_ratios(summary(**others), tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").stat().st_size > 1000
