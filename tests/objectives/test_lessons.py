"""Guards the order of what is learned from."""

from rlkit.objectives.lessons import Lessons
from rlkit.prompts.pool import make_pool


def test_lessons_come_once_a_pass_and_depend_on_their_place_alone():
    pool = make_pool([{"prompt": str(i)} for i in range(5)])
    lessons = Lessons(pool, set(pool.key_N.astype(str)[:3]))
    seen = [row["prompt"] for row in lessons.taken(0, 6)]
    assert sorted(seen[:3]) == sorted(seen[3:]) and len(set(seen)) == 3
    assert [row["prompt"] for row in lessons.taken(2, 3)] == seen[2:5]
