"""A made-up cache of the hub's library."""

from huggingface_hub import constants


def put_into_cache(folder, cache, monkeypatch):
    """Moves a model's files to where the hub's library keeps what it has fetched of org/name, as it does."""
    cached = cache / "models--org--name"
    for name in ("blobs", "refs"):
        (cached / name).mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        link = cached / "snapshots" / "0123" / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        path.rename(cached / "blobs" / f"{number:064x}")
        link.symlink_to(cached / "blobs" / f"{number:064x}")
    (cached / "refs" / "main").write_text("0123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
