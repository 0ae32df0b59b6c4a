"""verl's data set with a curriculum in it: serves the chosen rows, and learns when a batch ends.

data.custom_cls.path=pkg://rlkit.hosts.verl.dataset data.custom_cls.name=CurriculumDataset
"""

from collections.abc import Sequence
from typing import Any

import torch

try:
    from verl.utils.dataset.rl_dataset import RLHFDataset  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"rlkit.hosts.verl needs verl ({error}): pip install verl, 0.8.0 or 0.9.1, in the environment that "
        "trains",
        name=error.name,
    ) from error

from rlkit.curriculum.presets import build_curriculum
from rlkit.hosts.verl.course import Course
from rlkit.hosts.verl.groups import INDEX, groups_of
from rlkit.hosts.verl.refilled import RefilledCourse
from rlkit.hosts.verl.settings import is_validation, read_settings
from rlkit.prompts.pool import PromptPool, make_pool


class CurriculumDataset(RLHFDataset):
    """`RLHFDataset` whose batches a curriculum chooses; that of validation is verl's own.

    Its length is that of the longest run and one step more: so no checkpoint lies at the end of an epoch,
    where verl would leave out the loader's state. `data.rlkit` holds the fields of `CurriculumConfig`.

    Raises:
        ValueError: the curriculum cannot work with these settings or data.
    """

    def __new__(cls, data_files: Any, tokenizer: Any, config: Any, **others: Any) -> Any:
        if is_validation(data_files, config):
            return RLHFDataset(data_files=data_files, tokenizer=tokenizer, config=config, **others)
        return super().__new__(cls)

    def __init__(self, data_files: Any, tokenizer: Any, config: Any, **others: Any):
        self.settings = read_settings(config)
        super().__init__(data_files=data_files, tokenizer=tokenizer, config=config, **others)
        seed = self.settings.curriculum.curriculum_seed or 0
        pool = make_pool(self.dataframe, seed)
        self.dataframe = pool.rows
        # Once for show: what needs the policy asks for it at a proposal, and no model is loaded yet.
        self._course(PromptPool(pool.rows, pool.key_N, seed)).rehearse()
        self.course = self._course(pool)

    def _course(self, pool: PromptPool) -> Course:
        settings, curriculum = self.settings, build_curriculum(self.settings.curriculum)
        kind = RefilledCourse if settings.is_v1 else Course
        return kind(curriculum, pool, settings.batch_size, settings.group_size, settings.folder)

    def __len__(self) -> int:
        return (self.settings.steps + 1) * self.course.most_rows

    def __getitems__(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """The next batch's rows, whatever places the loader names."""
        return [
            {**super(CurriculumDataset, self).__getitem__(index), INDEX: torch.tensor([index])}
            for index in self.course.propose(len(places)).tolist()
        ]

    def on_batch_end(self, batch: Any) -> None:
        """verl calls it after each step with the batch that it has trained on."""
        self.course.learn(groups_of(batch, self.settings.curriculum.curriculum_signal))

    def state_dict(self) -> dict[str, Any]:
        return self.course.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.course.load_state_dict(state)
