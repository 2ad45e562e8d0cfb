"""What executes an artefact: one module for each runtime, which loads its heavy packages only when used."""
