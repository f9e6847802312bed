"""A few mails to begin with: some of them are spam."""

from __future__ import annotations

from worker.task import Sample

SPAM = """
You have won a holiday for two, call this number today to claim it
Cheap watches, the best brands, ninety percent off until midnight
Your account is locked, confirm your password on this page at once
Double your money in a week, no risk, reply now for our secret
Congratulations, you were chosen for a free phone, pay postage only
Lose ten kilos in ten days with this one tea, order here
Urgent: a prince needs your help to move a fortune, share promised
Win cash every day, text WIN to this number, costs apply
Last warning, your parcel waits, pay the fee with this link
Earn from home, no skill needed, thousands a month, join now
"""
HAM = """
Can we move the meeting to Thursday at ten, I am at the dentist
The draft of the report is in the folder, please add your figures
Thanks for dinner, the recipe for the soup is attached
The train is late, start without me and I will join by phone
Here are the photos of the hike, the last one is my favourite
Please send the signed form back before the end of the month
Mum asks whether you bring the salad or the bread on Sunday
The printer on the second floor is out of paper again
I have read your chapter, my notes are in the margin
The plumber comes tomorrow between eight and noon, will you be in
"""


def sample() -> Sample:
    """Return texts of two classes, and settings that a laptop trains with."""
    said = zip(SPAM.strip().splitlines(), HAM.strip().splitlines(), strict=True)
    rows = [
        {"text": text, "target": target}
        for pair in said
        for text, target in zip(pair, ("spam", "ham"), strict=True)
    ]
    return Sample.of_rows("mails.csv", rows, epochs=3, batch_size=4, max_seq_length=32)
