"""Photographs: a user's own pictures of empty rooms and of people, as a library."""

from depthmask.data.sources.photos.ingest import PhotosSource, ingest_photos

__all__ = ["PhotosSource", "ingest_photos"]
