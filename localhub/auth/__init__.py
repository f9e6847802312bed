"""Who there is on the local Hub: accounts, their tokens, and what each caller may."""
