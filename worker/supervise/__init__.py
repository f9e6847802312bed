"""The supervisor: the parent process of the trainer, which starts it, reads its events, enforces
the limits, saves the model, and at the end always stops the billing.

It never imports torch, and it goes on when the trainer crashes. `supervise` calls the steps in
order; every other module here does one of them.
"""
