"""The curriculum in TRL's asynchronous trainer: `trainer.py`, and what it is made of.

trainer.py    AsyncCurriculumGRPOTrainer
flow.py       the step without a barrier, free of torch and of TRL
replayed.py   groups that train again, from a preset's replay
senses.py     what the server says of a prompt's tokens
worker.py     the trainer's side of the rollout process, a thread; loop.py: that process
journal.py    what was ordered, written before its rollout; the account
places.py     where TRL keeps what is used of it
"""
