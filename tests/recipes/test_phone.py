"""Guards the phone: what taps do, what each of both environments rewards, and demonstrations that succeed."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "recipes"))

from phone import TREE, ActionPhone, TaskPhone, demonstrate, make_tasks, paths


def test_taps_open_screens_and_switch():
    phone = TaskPhone()
    assert phone.reset("wifi") == "\nScreen home: settings, clock, camera"
    assert phone.tap("settings") == "Screen settings: network, sound, display"
    assert phone.tap("wifi").startswith("There is no 'wifi'. Screen settings")
    phone.tap("network")
    assert phone.get_reward() == 0.0
    assert phone.tap("wifi") == "Screen settings/network: wifi (on), bluetooth, airplane mode"
    assert phone.get_reward() == 1.0
    phone.tap("bluetooth")
    assert phone.get_reward() == 0.0  # something else was changed
    assert phone.back() == "Screen settings: network, sound, display"
    phone.reset("mute")
    assert phone.get_reward() == 0.0 and phone.tap("clock") == "Screen clock: alarm, timer"


def test_turns_are_rewarded_by_the_share_that_leads_to_the_goal():
    phone = ActionPhone()
    phone.reset("alarm")
    assert phone.get_reward() == 0.0
    phone.tap("clock")
    assert phone.get_reward() == 1.0
    phone.tap("timer")
    phone.tap("nothing")
    phone.tap("alarm")
    assert phone.get_reward() == 0.5  # clock and alarm, of four


def test_demonstrations_do_the_task():
    tasks = make_tasks(16, seed=1)
    assert {path[-1] for path in paths(TREE)} >= {task["goal"] for task in tasks}
    for task in tasks:
        messages = demonstrate(task)["messages"]
        phone = TaskPhone()
        phone.reset(task["goal"])
        for message in messages:
            for call in message.get("tool_calls", []):
                getattr(phone, call["function"]["name"])(**call["function"]["arguments"])
        assert phone.get_reward() == 1.0
