"""The image adapter: networks, images with masks and labels, and composites, for the same engine as DNA's."""

from seqplrp.images.classes import Classes, read_classes
from seqplrp.images.composites import IMAGE_COMPOSITES, image_composite
from seqplrp.images.explaining import ImageMaps, ImageRequest, ImageRun, explained_images, kept_maps
from seqplrp.images.folders import (
    IMAGE_SUFFIXES,
    LABELS_FILE,
    read_class_folders,
    read_ecssd,
    read_imagenet_s,
    read_images,
    read_images_and_masks,
)
from seqplrp.images.map_files import MapFiles
from seqplrp.images.networks import NETWORKS, RANDOM, Architecture, ImageNetwork, load_network, save_network
from seqplrp.images.opening import WHITE, Mask, open_image, open_mask
from seqplrp.images.preprocessing import IMAGENET, Preprocessing
from seqplrp.images.records import ImageCollection, ImageRecord

__all__ = [
    "IMAGENET",
    "IMAGE_COMPOSITES",
    "IMAGE_SUFFIXES",
    "LABELS_FILE",
    "NETWORKS",
    "RANDOM",
    "WHITE",
    "Architecture",
    "Classes",
    "ImageCollection",
    "ImageMaps",
    "ImageNetwork",
    "ImageRecord",
    "ImageRequest",
    "ImageRun",
    "MapFiles",
    "Mask",
    "Preprocessing",
    "explained_images",
    "image_composite",
    "kept_maps",
    "load_network",
    "open_image",
    "open_mask",
    "read_class_folders",
    "read_classes",
    "read_ecssd",
    "read_imagenet_s",
    "read_images",
    "read_images_and_masks",
    "save_network",
]
