"""The extractor that runs inside an image with bottom-up attention's Caffe at /opt/butd: docs/extractor.md.

For Python 2.7 and 3. Lots come in on standard input, events go out on standard output, rows to the lot's file.
"""
from __future__ import print_function

import argparse
import base64
import hashlib
import io
import json
import os
import sys
import threading

try:
    import queue  # novm
except ImportError:  # Python 2
    import Queue as queue  # novm

import numpy as np

BOXES = 36
THRESHOLD = 0.2
# Decoded and scaled images kept ready, so that the network never waits for a file.
READ_AHEAD = 4
DETECTOR = "bottom-up-attention (Caffe)"
CONFIG = "experiments/cfgs/faster_rcnn_end2end_resnet.yml"
PROTOTXT = "models/vg/ResNet-101/faster_rcnn_end2end_final/test.prototxt"
# Settings of the image's own configuration that change boxes, as the published features have them.
PUBLISHED_SETTINGS = {"nms": 0.3, "short_side": 600, "long_side": 1000}
PUBLISHED_ROIS = 300
EXIT_FAILED, EXIT_USAGE, EXIT_WEIGHTS = 1, 2, 3


class Unusable(Exception):
    """This image cannot be done, and why."""


class Stop(Exception):
    """Nothing can be done: exit code and why."""

    def __init__(self, code, message):
        Exception.__init__(self, message)
        self.code = code


# ---- choosing boxes


def best_scores(boxes, scores, nms, overlap, floor):
    """Highest score with which each box survives the NMS of a class (R float64); those below `floor` may be left at 0.

    Whether a box survives depends on higher scores only, so scores below the floor need not be looked at.
    """
    best = np.zeros(boxes.shape[0])
    above = scores >= floor
    above[:, 0] = False  # the background
    for label in np.flatnonzero(above.any(axis=0)):
        chosen = np.flatnonzero(above[:, label])
        values = scores[chosen, label]
        if chosen.size > 1:
            if np.unique(values).size < values.size:
                # Which of two equal scores goes first depends on all that are sorted with them.
                chosen = np.arange(boxes.shape[0])
                values = scores[:, label]
            dets = np.hstack((boxes[chosen], values[:, np.newaxis])).astype(np.float32)
            kept = np.asarray(nms(dets, overlap), dtype=np.int64)
            chosen, values = chosen[kept], values[kept]
        best[chosen] = np.maximum(best[chosen], values)
    return best


def choose_boxes(boxes, scores, nms, overlap):
    """Indices of the 36 boxes that LXMERT's procedure keeps, in its order."""
    for floor in (0.2, 0.05, 0.01, None):
        if floor is None:
            best = best_scores(boxes, scores, nms, overlap, -np.inf)
        else:
            best = best_scores(boxes, scores, nms, overlap, floor)
            # The floor must not decide: enough boxes above it, and no two equal scores whose order would depend on the rest.
            found = np.sort(best[best >= floor])[::-1][: BOXES + 1]
            if found.size < BOXES or np.unique(found).size < found.size:
                continue
        passed = np.where(best >= THRESHOLD)[0]
        if passed.size == BOXES:
            return passed
        return np.argsort(best)[::-1][:BOXES]


def compute_columns(out, scores, scale, nms, overlap):
    """The arrays of one row from the network's blobs (rois, cls_prob, attr_prob, pool5_flat)."""
    for name in ("rois", "cls_prob", "attr_prob", "pool5_flat"):
        if not np.isfinite(out[name]).all():
            raise Unusable("the network put out NaN or infinity (%s)" % name)
    rois = out["rois"]
    if rois.shape[0] < BOXES:
        raise Unusable("fewer than 36 proposals (%d)" % rois.shape[0])
    # The proposals, not the regressed boxes; the published scale is a double that meets float32 boxes and so rounds to float32.
    boxes = (rois[:, 1:5] / np.float32(scale)).astype(np.float32)
    kept = choose_boxes(boxes, scores, nms, overlap)
    objects = out["cls_prob"][kept][:, 1:]
    attributes = out["attr_prob"][kept][:, 1:]
    return [
        np.argmax(objects, axis=1).astype("<i8"),
        np.max(objects, axis=1).astype("<f4"),
        np.argmax(attributes, axis=1).astype("<i8"),
        np.max(attributes, axis=1).astype("<f4"),
        boxes[kept].astype("<f4"),
        out["pool5_flat"][kept].reshape(len(kept), -1).astype("<f4"),
    ]


def format_row(img_id, height, width, columns):
    """One row of the published form, as bytes."""
    texts = [base64.b64encode(np.ascontiguousarray(column)) for column in columns]
    numbers = [str(number).encode("ascii") for number in (height, width, BOXES)]
    fields = [img_id.encode("utf-8")] + numbers[:2] + texts[:4] + numbers[2:] + texts[4:]
    return b"\t".join(fields) + b"\r\n"


# ---- the image's own Caffe


def differing_settings(test):
    """What of a configuration differs from that of the published features, as keys of the detector's name."""
    found = {"nms": test.NMS, "short_side": test.SCALES[0], "long_side": test.MAX_SIZE}
    other = dict((name, value) for name, value in found.items() if value != PUBLISHED_SETTINGS[name])
    rois = getattr(test, "RPN_POST_NMS_TOP_N", PUBLISHED_ROIS)
    named = {} if rois == PUBLISHED_ROIS else {"rois": rois}
    return dict(named, settings=other) if other else named


class Detector(object):
    """The network of /opt/butd, and its own preprocessing, called ahead of time."""

    def __init__(self, root, weights, device):
        tools = os.path.join(root, "tools")
        if not os.path.isdir(tools):
            raise Stop(EXIT_USAGE, "%s: not there; the image needs bottom-up attention's Caffe at %s" % (tools, root))
        sys.path.insert(0, tools)
        import _init_paths  # noqa: F401
        import caffe
        import cv2
        from fast_rcnn import test
        from fast_rcnn.config import cfg, cfg_from_file
        from fast_rcnn.nms_wrapper import nms

        cfg_from_file(os.path.join(root, CONFIG))
        if device == "cuda":
            caffe.set_mode_gpu()
            caffe.set_device(0)  # devices are numbered from 0 in a container
        else:
            caffe.set_mode_cpu()
        self.net = caffe.Net(os.path.join(root, PROTOTXT), caffe.TEST, weights=weights)
        self.cv2, self.nms, self.overlap = cv2, nms, cfg.TEST.NMS
        self.settings = differing_settings(cfg.TEST)
        self.im_detect = test.im_detect
        self.get_blobs = test._get_blobs
        self.prepared = None
        # im_detect makes the network's input itself; it is handed what the reader has made with the same function.
        test._get_blobs = self.hand_over

    def hand_over(self, im, rois):
        prepared, self.prepared = self.prepared, None
        if rois is None and prepared is not None and prepared[0] is im:
            return prepared[1], prepared[2]
        return self.get_blobs(im, rois)

    def prepare(self, path):
        """Reads and scales an image: (pixels, input blobs, scales)."""
        name = path if isinstance(path, str) else path.encode("utf-8")
        try:
            with io.open(name, "rb") as stream:
                head = stream.read(6)
        except (IOError, OSError) as error:
            raise Unusable("cannot read the file: %s" % error.strerror)
        if head == b"":
            raise Unusable("the file is empty")
        if head[:4] == b"GIF8":
            raise Unusable("it is a GIF, which the published extraction does not read")
        im = self.cv2.imread(name)
        if im is None:
            raise Unusable("unreadable: no image that OpenCV can decode")
        blobs, scales = self.get_blobs(im, None)
        return im, blobs, scales

    def detect(self, img_id, prepared):
        """The row of a prepared image."""
        im, _, scales = self.prepared = prepared
        scores = self.im_detect(self.net, im)[0]
        blobs = self.net.blobs
        out = dict((name, blobs[name].data) for name in ("rois", "cls_prob", "attr_prob", "pool5_flat"))
        columns = compute_columns(out, scores, scales[0], self.nms, self.overlap)
        return format_row(img_id, im.shape[0], im.shape[1], columns)


def check_weights(path):
    """Fails where Caffe would end the process without a word on the file."""
    if not os.path.isfile(path):
        raise Stop(EXIT_WEIGHTS, "%s: there is no such file of weights" % path)
    if os.path.getsize(path) < 1000:
        raise Stop(EXIT_WEIGHTS, "%s: too short for a caffemodel (%d bytes)" % (path, os.path.getsize(path)))
    if not os.access(path, os.R_OK):
        raise Stop(EXIT_WEIGHTS, "%s: may not be read" % path)


class Sha256(threading.Thread):
    """Hashes a file while the network is loaded."""

    def __init__(self, path):
        threading.Thread.__init__(self)
        self.daemon = True
        self.path, self.digest = path, "unknown"
        self.start()

    def run(self):
        digest = hashlib.sha256()
        with io.open(self.path, "rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
        self.digest = digest.hexdigest()

    def result(self):
        self.join()
        return self.digest


# ---- lots in, events and rows out


def write_whole(fd, data):
    """One write where the system takes it whole, as it does for files."""
    view = memoryview(data)
    while len(view) > 0:
        view = view[os.write(fd, view) :]


def take_stdout():
    """Keeps standard output for events; whatever else prints there goes to standard error."""
    events = os.dup(1)
    os.dup2(2, 1)

    def tell(**event):
        write_whole(events, json.dumps(event).encode("ascii") + b"\n")

    return tell


def read_lots(stream, detector, ready):
    """Prepares images in the order of their lots; puts (lot, image, prepared or error) and at last None."""
    try:
        for line in iter(stream.readline, b""):
            if line.strip() == b"":
                continue
            lot = json.loads(line.decode("utf-8"))
            for image in lot["images"]:
                try:
                    prepared = detector.prepare(image["path"])
                except MemoryError:
                    raise
                except Unusable as error:
                    prepared = error
                except Exception as error:
                    prepared = Unusable("unreadable: %s: %s" % (type(error).__name__, error))
                ready.put((lot, image, prepared))
        ready.put(None)
    except BaseException as error:
        ready.put(error)


class RowFile(object):
    """The lot's file of rows."""

    def __init__(self):
        self.fd, self.path = None, None

    def append(self, path, row):
        if self.path != path:
            self.close()
            self.fd, self.path = os.open(path.encode("utf-8"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), path
        write_whole(self.fd, row)

    def close(self):
        if self.fd is not None:
            os.fsync(self.fd)
            os.close(self.fd)
        self.fd, self.path = None, None


def extract_lots(stream, detector, tell):
    ready = queue.Queue(maxsize=READ_AHEAD)
    reader = threading.Thread(target=read_lots, args=(stream, detector, ready))
    reader.daemon = True
    reader.start()
    rows = RowFile()
    for item in iter(ready.get, None):
        if isinstance(item, BaseException):
            raise item
        lot, image, prepared = item
        img_id = image["img_id"]
        try:
            if isinstance(prepared, Unusable):
                raise prepared
            row = detector.detect(img_id, prepared)
        except MemoryError:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, Unusable) else "%s: %s" % (type(error).__name__, error)
            tell(event="failed", lot=lot["lot"], img_id=img_id, reason=reason)
        else:
            rows.append(lot["rows"], row)
            tell(event="row", lot=lot["lot"], img_id=img_id, bytes=len(row))
        if image is lot["images"][-1]:
            rows.close()
            tell(event="lot", lot=lot["lot"])


def parse_words():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, help="caffemodel")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--butd", default="/opt/butd", help="folder of bottom-up attention (default %(default)s)")
    words = parser.parse_args()
    if words.device == "auto":
        seen = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
        words.device = "cpu" if seen in ("", "none", "void") else "cuda"
    return words


def main():
    tell = take_stdout()
    words = parse_words()
    # Caffe tells every layer it sets up; what it says before it ends the process is told all the same.
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        check_weights(words.weights)
        weights = Sha256(words.weights)
        detector = Detector(words.butd, words.weights, words.device)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return stop.code
    seen = os.environ.get("NVIDIA_VISIBLE_DEVICES", "0")
    device = "cpu" if words.device == "cpu" else "cuda:" + seen
    tell(event="ready", detector=dict(detector.settings, name=DETECTOR, weights=weights.result()), device=device)
    try:
        extract_lots(io.open(0, "rb", closefd=False), detector, tell)
    except MemoryError:
        print("out of memory", file=sys.stderr)
        return EXIT_FAILED
    except (IOError, OSError) as error:
        print("cannot go on: %s" % error, file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    code = main()
    # What others printed on standard output, which goes to standard error, may wait in a buffer.
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the network must not hold up the end, nor end it with another code.
    os._exit(code)
