"""The image models: sizes, numbers of inputs and tokens."""

from dataclasses import dataclass

_OLD_SIZES = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_SIZES = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
_LONG_SIZES = {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (384, 3072), "8:1": (3072, 384)}
_SCALES = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}


@dataclass(frozen=True)
class Model:
    """One model. sizes: pixels at 1K by aspect ratio. tokens: of an image, by image size."""

    sizes: dict[str, tuple[int, int]]
    tokens: dict[str, int]
    max_inputs: int
    tokens_per_input: int
    image_format: str
    thinks: bool = False

    def pixels(self, aspect_ratio: str, image_size: str) -> tuple[int, int]:
        width, height = self.sizes[aspect_ratio]
        scale = _SCALES[image_size]
        return (int(width * scale), int(height * scale))

    def nearest_ratio(self, width: int, height: int) -> str:
        """Return the aspect ratio that is nearest to this size."""

        def distance(ratio: str) -> float:
            wide, high = self.sizes[ratio]
            return max(wide * height, width * high) / min(wide * height, width * high)

        return min(self.sizes, key=distance)


_FLASH = Model({**_SIZES, **_LONG_SIZES}, {"512": 747, "1K": 1120, "2K": 1680, "4K": 2520}, 14, 1120, "png")
_PRO = Model(_SIZES, {"1K": 1120, "2K": 1120, "4K": 2000}, 14, 560, "jpeg", thinks=True)
MODELS = {
    "gemini-2.5-flash-image": Model(_OLD_SIZES, {"1K": 1290}, 3, 258, "png"),
    "gemini-3.1-flash-image": _FLASH,
    "gemini-3.1-flash-image-preview": _FLASH,
    "gemini-3-pro-image": _PRO,
    "gemini-3-pro-image-preview": _PRO,
}
