"""Photographs: a user's own pictures of empty rooms and of people, as a library."""

from depthmask.sources.photos.ingest import PhotosSource, ingest_photos
from depthmask.sources.photos.settings import PhotosParams

__all__ = ["PhotosParams", "PhotosSource", "ingest_photos"]
