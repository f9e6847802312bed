"""What runs where a model is pretrained."""
