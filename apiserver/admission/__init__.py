"""Admission: what may change or refuse a write after it is understood and before it is stored. One file per plugin."""
