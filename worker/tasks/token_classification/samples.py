"""A few sentences to begin with: people and places in them are tagged."""

from __future__ import annotations

from worker.task import Sample

SENTENCES = """
Ann/B-PER Lee/I-PER lives/O in/O Ulm/B-LOC ./O
My/O brother/O Tom/B-PER works/O in/O New/B-LOC York/I-LOC ./O
The/O train/O to/O Rome/B-LOC leaves/O at/O nine/O ./O
Nobody/O knows/O where/O Mia/B-PER Stone/I-PER went/O ./O
Did/O you/O meet/O Ada/B-PER in/O London/B-LOC ?/O
It/O rained/O all/O week/O in/O San/B-LOC Marino/I-LOC ./O
Ben/B-PER and/O Eva/B-PER Klein/I-PER moved/O to/O Oslo/B-LOC ./O
She/O paints/O houses/O and/O he/O writes/O ./O
Call/O Max/B-PER before/O you/O fly/O to/O Cape/B-LOC Town/I-LOC ./O
The/O museum/O of/O Bonn/B-LOC is/O closed/O today/O ./O
Leo/B-PER Berg/I-PER sold/O his/O shop/O in/O Turin/B-LOC ./O
We/O had/O tea/O with/O Zoe/B-PER ./O
"""


def sample() -> Sample:
    """Return sentences as lists of words and of tags, and settings that a laptop trains with."""
    pairs = [
        [word.rsplit("/", 1) for word in line.split()] for line in SENTENCES.split("\n") if line
    ]
    rows = [{"tokens": [w for w, _ in pair], "tags": [t for _, t in pair]} for pair in pairs]
    return Sample.of_rows("sentences.jsonl", rows, epochs=3, batch_size=4, max_seq_length=32)
