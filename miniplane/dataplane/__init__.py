"""The network compiler, pure: snapshot → ruleset → {nft, evaluate, explain, diff}."""
