"""What only the machine that trains does: answers, rewards, and learning from them."""
