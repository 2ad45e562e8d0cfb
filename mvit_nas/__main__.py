"""``python -m mvit_nas``."""

from mvit_nas.cli import main

main()
