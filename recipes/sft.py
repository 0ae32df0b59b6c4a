"""Supervised fine-tuning with TRL's SFTTrainer on rows of a file: `prompt` and `completion`, `messages`, or
`text`.

    rlkit launch recipes/sft.py --model_name_or_path MODEL --dataset_path rows.jsonl --output_dir runs/sft

Every field of SFTConfig and ModelConfig can stand in a YAML file (--config) or on the command line.
"""

from rlkit.settings import program

program.begin()

from datasets import Dataset
from training_files import FileArguments, load_rows, newest_checkpoint
from trl import ModelConfig, SFTConfig, SFTTrainer, get_peft_config

from rlkit.settings.arguments import parse_arguments

ARGUMENTS = (FileArguments, SFTConfig, ModelConfig)
FORMS = (("prompt", "completion"), ("messages",), ("text",))


def main() -> None:
    files, training, model = parse_arguments(ARGUMENTS)
    rows = load_rows(files.dataset_path, FORMS)
    checkpoint = newest_checkpoint(files.resume, training.output_dir)
    program.quiet_libraries()
    training.model_init_kwargs = {"dtype": model.dtype, **(training.model_init_kwargs or {})}
    trainer = SFTTrainer(
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
