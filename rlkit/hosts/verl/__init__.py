"""The verl host: rlkit's curricula in verl's Ray trainers (docs/engines.md).

Run under verl 0.8.0 and 0.9.1; 0.7.1 was only read. `dataset.py`, and `replay_buffer.py` for V1's trainer,
import verl, and verl imports them:

    data.custom_cls.path=pkg://rlkit.hosts.verl.dataset data.custom_cls.name=CurriculumDataset
    +data.rlkit.curriculum=mopps
"""
