"""The main job: the seed's manifests, applied verbatim, and every claim of the seed checked by doing it."""
