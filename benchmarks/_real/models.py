"""Small models with random weights, always the same, with tokenizers made for some texts.

One is pretrained: what is alike in meaning is not learned from some thousand sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._real.packaged import Rows, write_minilm

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS, WORDS_OF_CODE = 6000, 3000
"""Words and parts of words that tokenizers know."""


def reader(folder: Path, rows: Rows, *, cased: bool = False, words: int = WORDS) -> Path:
    """Write a ModernBERT of two layers without a head, and its tokenizer; return `folder`."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast, ModernBertConfig, ModernBertModel

    raw = BertWordPieceTokenizer(lowercase=not cased)
    raw.train_from_iterator(texts(rows), vocab_size=words, show_progress=False)
    known = raw.get_vocab()
    BertTokenizerFast(vocab=known, do_lower_case=not cased).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
    ends = {"pad": "[PAD]", "bos": "[CLS]", "eos": "[SEP]", "cls": "[CLS]", "sep": "[SEP]"}
    config = ModernBertConfig(
        vocab_size=len(known), num_attention_heads=4, max_position_embeddings=512, **sizes,
        **{f"{name}_token_id": known[token] for name, token in ends.items()},
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(folder)
    return folder


def code_reader(folder: Path, rows: Rows) -> Path:
    """Write the same, to which capitals matter."""
    return reader(folder, rows, cased=True, words=WORDS_OF_CODE)


def texts(rows: Rows) -> Iterator[str]:
    """Yield the texts of rows: cells that are text, and lists of words."""
    for cell in (cell for row in rows for cell in row.values()):
        if isinstance(cell, str):
            yield cell
        elif isinstance(cell, list) and cell and isinstance(cell[0], str):
            yield " ".join(cell)


def writer(folder: Path, rows: Rows) -> Path:
    """Write a T5 of two layers on each side, and its tokenizer; return `folder`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    pad, end, unknown = special = ["<pad>", "</s>", "<unk>"]
    raw = Tokenizer(models.BPE(unk_token=unknown))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    learning: dict[str, Any] = {"special_tokens": special, "show_progress": False}
    raw.train_from_iterator(texts(rows), trainers.BpeTrainer(vocab_size=800, **learning))
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[(end, 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=pad, unk_token=unknown, eos_token=end
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=800, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4,
        decoder_start_token_id=0, dropout_rate=0.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def seer(folder: Path, rows: Rows) -> Path:
    """Write a ViT of three layers that sees 32 x 32 points in patches of 8; return `folder`."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        image_size=32, patch_size=8,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def sentences(folder: Path, rows: Rows) -> Path:
    """Write all-MiniLM-L6-v2 as it is published; return `folder`."""
    write_minilm(folder)
    return folder


def finder(folder: Path, rows: Rows) -> Path:
    """Write an RT-DETR of 0.6 million weights, which finds 60 things at most; return `folder`."""
    import torch
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    torch.manual_seed(0)
    widths, wide = [24, 32, 48, 64], 64
    eyes = RTDetrResNetConfig(
        embedding_size=widths[0], hidden_sizes=widths, depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=eyes, encoder_in_channels=widths[1:], encoder_hidden_dim=wide, d_model=wide,
        decoder_in_channels=[wide] * 3, encoder_ffn_dim=128, decoder_ffn_dim=128,
        encoder_attention_heads=4, decoder_attention_heads=4, decoder_layers=2,
        num_queries=60, num_denoising=20, num_labels=1, hidden_expansion=0.5,
        freeze_backbone_batch_norms=False,
    )  # fmt: skip
    RTDetrForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil().save_pretrained(folder)
    return folder
