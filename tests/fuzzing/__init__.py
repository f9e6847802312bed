"""Files and answers that are damaged, and the program that must bear them."""
