"""The model that an ``ArchConfig`` describes, and nothing else."""
