"""What tasks of one kind share: rows, labels, pictures, texts, chats, and how models are judged.

A family knows none of its tasks: each of them can be taken out. As in a task, only what is called
`training` may import torch, numpy and the like.
"""
