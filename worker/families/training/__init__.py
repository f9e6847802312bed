"""What tasks of one kind share while they train: the only place here that imports numpy."""
