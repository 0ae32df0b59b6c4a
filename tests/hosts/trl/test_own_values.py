"""Guards that what rewards and environments do to their arguments reaches nothing and nobody else."""

import json
from typing import ClassVar

import pytest
from datasets import Dataset
from test_tools import make_tool_tokenizer
from tiny_trl import NUM_GENERATIONS, even_start, ledger_rows, make_trainer, weights

ROWS = 12


def boards(num=ROWS):
    return [{"prompt": f"{i:03d}=", "board": [[i], []], "config": {"moves": []}} for i in range(num)]


def spoiling(prompts, completions, completion_ids, board, config, **columns):
    """Changes all that it is given, after it has looked whether anyone was there before."""
    for place, cells in enumerate(board):
        assert cells[1] == [] and config[place] == {"moves": []}, "another completion's moves"
        assert cells[0] == [int(prompts[place][:3])]
        cells[1].append(completions[place])
        cells[0].clear()
        config[place]["moves"].append(place)
    values = even_start(completions)
    for ids in completion_ids:
        ids.clear()
    prompts.clear()
    completions.clear()
    board.clear()
    return values


@pytest.mark.parametrize(("preset", "as_list"), [("uniform", True), ("dapo", False), ("pcl", True)])
def test_what_a_reward_changes_stays_with_it(tmp_path, preset, as_list):
    data = boards() if as_list else Dataset.from_list(boards())

    def reads(prompts, completions, board, config, **columns):
        return [
            float(len(cells[1]) + len(settings["moves"]))
            for cells, settings in zip(board, config, strict=True)
        ]

    settings = {"max_steps": 7, "per_device_train_batch_size": 8, "reward_weights": [1.0, 0.0]}
    spoiled = make_trainer(tmp_path / "spoiled", preset, [spoiling, reads], data=data, **settings)
    spoiled.train()
    rows = [json.loads(line) for line in (tmp_path / "spoiled" / "metrics.jsonl").read_text().splitlines()]
    assert all(row["grade/error"] == 0 for row in rows)
    assert rows[-1]["pool/pass"] > 1, "prompts came again"
    assert [dict(row) for row in spoiled.pool.rows] == boards()
    calm = make_trainer(tmp_path / "calm", preset, [even_start, reads], data=data, **settings)
    calm.train()
    assert ledger_rows(tmp_path / "spoiled") == ledger_rows(tmp_path / "calm")
    for name, tensor in weights(calm).items():
        assert (weights(spoiled)[name] == tensor).all(), name


class Board:
    """Keeps the list that it was reset with, and plays on it."""

    boards: ClassVar[list] = []
    resets = 0

    def reset(self, prompt, board, **columns):
        assert board == [[int(prompt[-1]["content"])], []], "another rollout's moves"
        Board.resets += 1
        Board.boards.append(board)
        self.board = board
        self.board[1].append("reset")
        return "+1"

    def double(self, number: int) -> int:
        """Doubles a number.

        Args:
            number: the number.
        """
        self.board[1].append(number)
        return 2 * number

    def get_reward(self):
        return float(len(self.board[1]) % 2)


def messages():
    rows = [{**row, "prompt": [{"role": "user", "content": row["prompt"][:3]}]} for row in boards()]
    return Dataset.from_list(rows)


def test_every_rollout_has_a_board_of_its_own_and_one_reset(tmp_path):
    Board.boards, Board.resets = [], 0
    asked = []

    def sees(prompts, board, **columns):
        asked.extend(prompts)
        return [float(cells[1][0] == "reset") for cells in board]

    extra = {"environment_factory": Board, "processing_class": make_tool_tokenizer()}
    settings = {"max_completion_length": 9, "max_tool_calling_iterations": 2, "max_steps": 4}
    settings |= {"log_completions": True}
    trainer = make_trainer(tmp_path, "dapo", [sees], data=messages(), extra=extra, **settings)
    trainer.train()
    rollouts = NUM_GENERATIONS * len(ledger_rows(tmp_path))
    assert len({id(board) for board in Board.boards}) == len(Board.boards) == Board.resets == rollouts
    assert all(prompt[-1]["content"].endswith("+1") for prompt in asked), "rewards see what the policy saw"
    assert all(prompt[-1]["content"].endswith("+1") for prompt in trainer._logs["prompt"])
    assert [dict(row) for row in trainer.pool.rows] == [dict(row) for row in messages()]


def test_evaluation_gives_every_completion_its_own(tmp_path):
    extra = {"eval_dataset": Dataset.from_list(boards(4))}
    settings = {"max_steps": 1, "per_device_eval_batch_size": 16}
    trainer = make_trainer(tmp_path, "uniform", spoiling, data=boards(), extra=extra, **settings)
    trainer.train()
    trainer.evaluate()
    trainer.evaluate()
    assert trainer._grading_errors == 0
