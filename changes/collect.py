"""Put the fragments of this folder at the top of the newest version in CHANGELOG.md, and remove them."""

from pathlib import Path

HERE = Path(__file__).parent
LOG = HERE.parent / "CHANGELOG.md"


def main() -> None:
    fragments = sorted(path for path in HERE.glob("*.md") if path.name != "README.md")
    items = "".join(path.read_text(encoding="utf-8").strip() + "\n" for path in fragments)
    if wrong := [path.name for path in fragments if not path.read_text(encoding="utf-8").startswith("- ")]:
        raise SystemExit(f"{', '.join(wrong)}: a fragment is a list; begin it with '- '")
    before, heading, after = LOG.read_text(encoding="utf-8").partition("\n## ")
    version, _, older = after.partition("\n\n")
    LOG.write_text(f"{before}{heading}{version}\n\n{items}{older}", encoding="utf-8")
    for path in fragments:
        path.unlink()
    print(f"{LOG.name}: {len(fragments)} fragments")


if __name__ == "__main__":
    main()
