"""``python -m sdovis``, and so ``accelerate launch -m sdovis``."""

from sdovis.cli import main

if __name__ == "__main__":
    main()
