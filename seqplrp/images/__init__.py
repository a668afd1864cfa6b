"""The image adapter: networks, images with masks and labels, and composites, for the same engine as DNA's."""

from seqplrp.images.batches import Augmentation
from seqplrp.images.checkpoints import Checkpoint
from seqplrp.images.classes import Classes, read_classes
from seqplrp.images.composites import IMAGE_COMPOSITES, image_composite
from seqplrp.images.explaining import ImageMaps, ImageRequest, ImageRun, explained_images, kept_maps
from seqplrp.images.folders import (
    IMAGE_SUFFIXES,
    LABELS_FILE,
    Unknown,
    read_class_folders,
    read_ecssd,
    read_imagenet_s,
    read_images,
    read_images_and_masks,
)
from seqplrp.images.labelled import LabelledImages, load_labelled_images
from seqplrp.images.map_files import MapFiles
from seqplrp.images.networks import NETWORKS, RANDOM, Architecture, ImageNetwork, load_network, save_network
from seqplrp.images.opening import WHITE, Mask, open_image, open_mask
from seqplrp.images.preprocessing import IMAGENET, Preprocessing
from seqplrp.images.records import ImageCollection, ImageRecord
from seqplrp.images.slim import SLIM, build_slim, check_slim, without_batch_norm
from seqplrp.images.trained import TrainedImageNetwork, save_image_training
from seqplrp.images.training import ImageTrainOptions, train_image_network
from seqplrp.images.training_run import train_in_directory

__all__ = [
    "IMAGENET",
    "IMAGE_COMPOSITES",
    "IMAGE_SUFFIXES",
    "LABELS_FILE",
    "NETWORKS",
    "RANDOM",
    "SLIM",
    "WHITE",
    "Architecture",
    "Augmentation",
    "Checkpoint",
    "Classes",
    "ImageCollection",
    "ImageMaps",
    "ImageNetwork",
    "ImageRecord",
    "ImageRequest",
    "ImageRun",
    "ImageTrainOptions",
    "LabelledImages",
    "MapFiles",
    "Mask",
    "Preprocessing",
    "TrainedImageNetwork",
    "Unknown",
    "build_slim",
    "check_slim",
    "explained_images",
    "image_composite",
    "kept_maps",
    "load_labelled_images",
    "load_network",
    "open_image",
    "open_mask",
    "read_class_folders",
    "read_classes",
    "read_ecssd",
    "read_imagenet_s",
    "read_images",
    "read_images_and_masks",
    "save_image_training",
    "save_network",
    "train_image_network",
    "train_in_directory",
    "without_batch_norm",
]
