r"""Preference training with TRL's DPOTrainer on rows of a file: `prompt`, `chosen` and `rejected`.

    rlkit launch recipes/dpo.py --model_name_or_path MODEL --dataset_path pairs.jsonl \
        --output_dir runs/dpo
    ... --loss_type sigmoid bco_pair sft --loss_weights 0.8 0.2 1.0    # MPO: preference, quality, generation
    ... --loss_type sigmoid_norm                                       # Tulu 3's, normalized by length

Every field of DPOConfig and ModelConfig can stand in a YAML file (--config) or on the command line.
"""

from rlkit.settings import program

program.begin()

from datasets import Dataset
from training_files import FileArguments, load_rows, newest_checkpoint
from trl import DPOConfig, DPOTrainer, ModelConfig, get_peft_config

from rlkit.settings.arguments import parse_arguments

ARGUMENTS = (FileArguments, DPOConfig, ModelConfig)
FORMS = (("prompt", "chosen", "rejected"), ("chosen", "rejected"))


def main() -> None:
    files, training, model = parse_arguments(ARGUMENTS)
    rows = load_rows(files.dataset_path, FORMS)
    checkpoint = newest_checkpoint(files.resume, training.output_dir)
    program.quiet_libraries()
    training.model_init_kwargs = {"dtype": model.dtype, **(training.model_init_kwargs or {})}
    trainer = DPOTrainer(
        model.model_name_or_path,
        args=training,
        train_dataset=Dataset.from_list(rows),
        peft_config=get_peft_config(model),
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_state()


if __name__ == "__main__":
    main()
    program.leave()
