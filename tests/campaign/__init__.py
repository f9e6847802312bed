"""Faults at random moments of random jobs, and an auditor after each: `make campaign`.

Everything follows from a seed: where a job runs, what its user does, what breaks, and when. The
command line is the real one, in processes that are killed; the far side is a Hub on loopback whose
Spaces and Jobs really run, processes of this machine, and a Slurm. Trainers are quick.
"""
