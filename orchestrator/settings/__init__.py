"""What users may set and where they say it: files, environment, flags; AutoTrain's words too."""
