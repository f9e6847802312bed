"""The examples of a job: found and read, and packed for the machine that trains."""
