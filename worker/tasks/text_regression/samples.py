"""A few reviews to begin with, each with the stars it gave."""

from __future__ import annotations

from worker.task import Sample

REVIEWS = {
    5.0: """
The best soup I have ever had, and the waiter was kind
A perfect evening, we come back next week
Everything was fresh, warm and served with a smile
Wonderful bread, wonderful view, worth every cent
""",
    4.0: """
Very good pasta, only the music was a little loud
Friendly people and large plates, the cake could be sweeter
A nice place, we waited ten minutes for a table
Tasty and quick, the room is rather dark
""",
    3.0: """
The fish was good and the salad was not
Fine for lunch, nothing that I remember
Average food at an average price
Some dishes are good, some are cold
""",
    2.0: """
We waited an hour for a lukewarm pizza
The soup was salty and nobody said sorry
Small portions, and the bill was wrong
Dry meat, and the table was sticky
""",
    1.0: """
The worst meal of the year, I left half of it
Rude, cold and far too expensive
I found a hair in the rice and they laughed
Never again, we were ill for two days
""",
}


def sample() -> Sample:
    """Return texts with numbers, and settings that a laptop trains with."""
    told = [
        {"text": text, "target": stars}
        for stars, said in REVIEWS.items()
        for text in said.strip().splitlines()
    ]
    rows = [told[i] for start in range(4) for i in range(start, len(told), 4)]
    return Sample.of_rows("reviews.csv", rows, epochs=3, batch_size=4, max_seq_length=32)
