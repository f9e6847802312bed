"""Trains a detector: rows to images, images to steps, the result to a folder."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from worker.engine import processes
from worker.engine.arguments import trainer_parts
from worker.engine.fit import begin, finish, fit
from worker.engine.model import Loaded
from worker.engine.phases import phase
from worker.engine.source import Source
from worker.engine.trainer import LeanTrainer
from worker.errors import BadData
from worker.families.pictures.training.album import Album, album_of, known
from worker.families.pictures.training.pictures import Epochs, readers
from worker.task import Run
from worker.tasks.object_detection.examples import Annotated, read
from worker.tasks.object_detection.kinds import MASKED, size_for
from worker.tasks.object_detection.params import DetectionParams
from worker.tasks.object_detection.training.measures import Found, draw, measured
from worker.tasks.object_detection.training.model import detector
from worker.tasks.object_detection.training.pictures import Scenes, Truth, collate


def train(params: DetectionParams, run: Run) -> None:
    """Train `run.base` on `run.data` and leave the result in `run.output`.

    Returns early, with a checkpoint written, once `run.stop` is set. Raises `HubtrainError`, and
    whatever torch raises when memory runs out.
    """
    begin(params)
    source = Source(run.base, AutoModelForObjectDetection, params.trust_remote_code)
    with phase(run.emit, "reading data"):
        size = size_for(source.config().model_type, params.image_square_size)
        processor = source.processor(AutoImageProcessor, backend="pil", size=size)
        album = gathered(params, run)
    with phase(run.emit, "loading model"):
        loaded = detector(source, params, album.corpus.train.classes)
    trainer = trainer_of(params, run, loaded, processor, album)
    if fit(trainer, params, run):
        if album.corpus.held:
            _draw(trainer, run)
        finish(loaded, params, run, processor.save_pretrained)


def _draw(trainer: DetectionTrainer, run: Run) -> None:
    """Draw how often what the finished model finds is right, for the card."""
    with phase(run.emit, "drawing where it errs"):
        _, truth, found = trainer.judge()
        if processes.is_first():
            draw(truth, found, trainer.classes, run.output)


def gathered(params: DetectionParams, run: Run) -> Album[Annotated[Any]]:
    """Return the images of `run.data`. Raises `BadData` where there is nothing to find."""
    album = album_of(params, run, read)
    data, valid = album.corpus.train, album.corpus.valid
    _whole(data)
    if valid:
        _whole(valid)
        known(data.classes, valid.used, valid.source)
    if not data.used:
        raise BadData(f"Nothing is on any image of {data.source}: there are no boxes.")
    return album


def _whole(data: Annotated[Any]) -> None:
    """Raise `BadData` for rows whose objects cannot be read, which the check tells of too."""
    for what, rows in data.broken.items():
        raise BadData(f'Row {rows[0]} of {data.source} has {what} in "{data.column}".')


def trainer_of(
    params: DetectionParams, run: Run, loaded: Loaded, processor: Any, album: Album[Annotated[Any]]
) -> DetectionTrainer:
    """Return what trains and judges."""
    store, corpus, classes = album.store, album.corpus, album.corpus.train.classes
    seed = params.seed if params.augment else None
    scenes = Scenes(store, corpus.learned, classes, processor, seed=seed)
    valid = Scenes(store, corpus.held, classes, processor)
    parts = trainer_parts(
        params, run, loaded, scenes, valid, neftune_noise_alpha=None,
        dataloader_num_workers=readers(), dataloader_prefetch_factor=2 if readers() else None,
    )  # fmt: skip
    masked = loaded.model.config.model_type in MASKED
    return DetectionTrainer(
        **parts,
        data_collator=partial(collate, masked=masked),
        callbacks=[Epochs(scenes)],
        processor=processor,
        classes=classes,
    )


class DetectionTrainer(LeanTrainer):
    """Trains by the model's own loss, and judges what it finds as COCO does."""

    def __init__(self, *args: Any, processor: Any, classes: tuple[str, ...], **more: Any) -> None:
        super().__init__(*args, **more)
        self.processor, self.classes = processor, classes

    def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
        """Return the loss of a batch."""
        return model(**{name: value for name, value in inputs.items() if name != "truth"}).loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return `eval_loss`, a mean over images, and the measures of what was found on them."""
        loss, truth, found = self.judge()
        metrics = {"eval_loss": loss}
        judged = measured(truth, found, self.classes)
        metrics |= {f"eval_{name}": value for name, value in judged.items()}
        self.log(metrics)
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @torch.no_grad()
    def judge(self) -> tuple[float, list[Truth], list[Found]]:
        """Return the loss, a mean over images, what is on them, and what the model finds."""
        model = self.accelerator.unwrap_model(self.model_wrapped)
        model.eval()
        losses = 0.0
        truth: list[Truth] = []
        found: list[Found] = []
        for batch, counts in self.validation_batches():
            real: list[Truth] = batch.pop("truth")
            with self.compute_loss_context_manager():
                said = model(**self._prepare_inputs(batch))
            if counts:
                losses += float(said.loss) * len(real)
                truth += real
                found += self._found(said, [one.size for one in real])
            self.callback_handler.on_prediction_step(self.args, self.state, self.control)
        return losses / len(truth), truth, found

    def _found(self, said: Any, sizes: list[tuple[int, int]]) -> list[Found]:
        """Return what a model said of images of these heights and widths."""
        said.logits, said.pred_boxes = said.logits.float().cpu(), said.pred_boxes.float().cpu()
        each = self.processor.post_process_object_detection(said, threshold=0.0, target_sizes=sizes)
        return [
            Found(*(one[name].numpy() for name in ("boxes", "labels", "scores"))) for one in each
        ]
