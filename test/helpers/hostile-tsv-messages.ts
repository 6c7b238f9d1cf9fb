/** Everything that is said about each kind of broken TSV of hostile-tsv.ts, word for word. */
export const TSV_MESSAGES: Readonly<Record<string, readonly string[]>> = {
  'an empty file': ['error: rows.tsv: rows: expected at least one row, got 0 bytes without a row'],
  'blank lines only': ['error: rows.tsv: rows: expected at least one row, got 9 bytes without a row'],
  'a single zero byte': [
    'error: rows.tsv:1 (byte 0): columns: expected a row, got a zero byte; this space was reserved and never written; download or copy the file again',
  ],
  'a torn row in the middle, its rest missing': [
    'error: rows.tsv:1 (byte 0) SYNTHETIC_000000000000: length features: expected 393216 base64 characters (294912 bytes), got 3041 characters; the row is damaged or torn; extract or download it again',
  ],
  'a torn row glued to the next one': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 19 columns in 595175 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'a first row torn at its sixth column': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 6 columns in 629 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'two whole rows glued together': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 19 columns in 790350 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'three whole rows glued together': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 28 columns in 1185525 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'the end cut inside img_id': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 1 column in 5 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut behind img_id': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 2 columns in 23 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut inside img_h': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 2 columns in 24 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut inside objects_id': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 4 columns in 42 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut inside attrs_id': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 6 columns in 659 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut before num_boxes': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 8 columns in 1187 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut inside num_boxes': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 8 columns in 1188 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut inside boxes': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 9 columns in 1590 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'the end cut before features': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 0 characters; the row is damaged or torn; extract or download it again',
  ],
  'the end cut inside features': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 100000 characters; the row is damaged or torn; extract or download it again',
  ],
  'the end cut one character before the line end': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 393215 characters; the row is damaged or torn; extract or download it again',
  ],
  'a column too many': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 11 columns in 395176 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'a column missing': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 9 columns in 395172 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'columns in another order': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length boxes: expected 768 base64 characters (576 bytes), got 393216 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 768 characters; the row is damaged or torn; extract or download it again',
  ],
  'a header line': [
    "error: rows.tsv:1 (byte 0): columns: expected a row, got the names of the columns; remove the line: sed -i '/^img_id\\t/d' FILE",
  ],
  'commas in place of tabs': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 395175 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 1 column in 395175 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'a quote that never ends': [
    'error: rows.tsv:2 (byte 395177): columns: expected a row on one line whose quotes match, got Quote Not Closed: the parsing is finished with an opening quote at line 1',
  ],
  'a quote inside an id': [
    'error: rows.tsv:2 (byte 395177): columns: expected a row on one line whose quotes match, got Invalid Opening Quote: a quote is found on field 0 at line 1, value is "COCO"',
  ],
  'text behind a closing quote': [
    'error: rows.tsv:2 (byte 395177): columns: expected a row on one line whose quotes match, got Invalid Closing Quote: got "x" at line 1 instead of delimiter, record delimiter, trimable character (if activated) or comment',
  ],
  'another row behind a lone CR': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 393221 characters; the row is damaged or torn; extract or download it again',
  ],
  'CR as the only line end': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 28 columns in 1185528 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'UTF-16': [
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got bytes that are not UTF-8',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: image_size img_h: expected pixels, 1 to 9999999, got "\\u00006\\u00004\\u00000\\u0000"',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: image_size img_w: expected pixels, 1 to 9999999, got "\\u00004\\u00008\\u00000\\u0000"',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: num_boxes num_boxes: expected 36, got �3�6�; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length objects_id: expected 384 base64 characters (288 bytes), got 769 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length objects_conf: expected 192 base64 characters (144 bytes), got 385 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length attrs_id: expected 384 base64 characters (288 bytes), got 769 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length attrs_conf: expected 192 base64 characters (144 bytes), got 385 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length boxes: expected 768 base64 characters (576 bytes), got 1537 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:1 (byte 0) ��S�Y�N�T�H�E�T�I�C�_�0�0�0�0�0�0�0�0�0�0�0�0�: length features: expected 393216 base64 characters (294912 bytes), got 786435 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:2 (byte 790355): columns: expected a row, got a zero byte; this space was reserved and never written; download or copy the file again',
  ],
  'url-safe base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 features: expected only A-Z a-z 0-9 + /, got "-" at character 0',
  ],
  'padding inside base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 boxes: expected only A-Z a-z 0-9 + /, got "=" at character 100',
  ],
  'padding at the end of base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 boxes: expected only A-Z a-z 0-9 + /, got "=" at character 766',
  ],
  'a blank inside base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 features: expected only A-Z a-z 0-9 + /, got " " at character 777',
  ],
  'a zero byte inside base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 features: expected only A-Z a-z 0-9 + /, got "\\u0000" at character 777',
  ],
  'a byte above 127 inside base64': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: base64 objects_id: expected only A-Z a-z 0-9 + /, got "é" at character 0',
  ],
  'four base64 characters missing': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 393212 characters; the row is damaged or torn; extract or download it again',
  ],
  'four base64 characters too many': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length boxes: expected 768 base64 characters (576 bytes), got 772 characters; the row is damaged or torn; extract or download it again',
  ],
  'one base64 character missing': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length attrs_conf: expected 192 base64 characters (144 bytes), got 191 characters; the row is damaged or torn; extract or download it again',
  ],
  'an empty base64 column': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length boxes: expected 768 base64 characters (576 bytes), got 0 characters; the row is damaged or torn; extract or download it again',
  ],
  'base64 moved from one column to the next': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length boxes: expected 768 base64 characters (576 bytes), got 764 characters; the row is damaged or torn; extract or download it again',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: length features: expected 393216 base64 characters (294912 bytes), got 393220 characters; the row is damaged or torn; extract or download it again',
  ],
  'num_boxes 35': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: num_boxes num_boxes: expected 36, got 35; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  ],
  'num_boxes missing': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: num_boxes num_boxes: expected 36, got nothing; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  ],
  'num_boxes 36.0': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: num_boxes num_boxes: expected 36, got 36.0; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  ],
  'a row of 40 adaptive boxes': [
    'error: rows.tsv:2 (byte 395177) ADAPTIVE_1: num_boxes num_boxes: expected 36, got 40; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  ],
  'NaN among the features': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite features: expected finite values, got NaN at box 1, dimension 0; 2 such values',
  ],
  'infinity among the features': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite features: expected finite values, got Infinity at box 35, dimension 2047; 1 such values',
  ],
  'minus infinity among the features': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite features: expected finite values, got -Infinity at box 0, dimension 0; 1 such values',
  ],
  'a negative feature': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: negative features: expected values >= 0 (they come from a ReLU), got -0.25 at box 0, dimension 5; 1 such values',
  ],
  'a negative denormal feature': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: negative features: expected values >= 0 (they come from a ReLU), got -1.401298464324817e-45 at box 0, dimension 5; 1 such values',
  ],
  'NaN, infinity and negatives in one row': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite features: expected finite values, got NaN at box 0, dimension 1; 2 such values',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: negative features: expected values >= 0 (they come from a ReLU), got -1 at box 0, dimension 2; 2 such values',
  ],
  'a feature beyond f16': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: dtype_range features: expected values that f16 can hold, got 65520 at box 0, dimension 9; 1 such values',
  ],
  'a feature beyond bf16': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: dtype_range features: expected values that bf16 can hold, got 3.3999999521443642e+38 at box 0, dimension 9; 1 such values',
  ],
  'a box whose x2 is x1': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_order boxes: expected x1 < x2 and y1 < y2, got (7, 149.23927307128906, 7, 479.20001220703125) as box 0',
  ],
  'a box upside down': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_order boxes: expected x1 < x2 and y1 < y2, got (486.60882568359375, 200, 560.5543212890625, 100) as box 3',
  ],
  'a box left of the image': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 640 and 0 <= y <= 480, got (-0.5, 247.0290069580078, 583.510498046875, 399.3968811035156) as box 1',
  ],
  'a box beyond the image': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 640 and 0 <= y <= 480, got (454.648193359375, 149.23927307128906, 640.5, 479.20001220703125) as box 0',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 640 and 0 <= y <= 480, got (176.6553192138672, 247.0290069580078, 583.510498046875, 481) as box 1',
  ],
  'NaN in a box': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite boxes: expected finite coordinates, got (NaN, 375.0683898925781, 312.4734802246094, 418.8057861328125) as box 35',
  ],
  'infinity in a box': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite boxes: expected finite coordinates, got (140.98707580566406, 375.0683898925781, Infinity, 418.8057861328125) as box 35',
  ],
  'a box between the border of Caffe and that of the image': [
    'warning: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: provenance boxes: expected no box beyond x 639.200, y 479.200, where Caffe clips its proposals, got boxes up to the border of the 640x480 image; these features come from another detector or another image size; do not mix them with published ones',
  ],
  'an object class of 1600': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: class_id objects_id: expected 0 to 1599, got 1600 for box 0',
  ],
  'a negative object class': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: class_id objects_id: expected 0 to 1599, got -1 for box 35',
  ],
  'an attribute class of 400': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: class_id attrs_id: expected 0 to 399, got 400 for box 7',
  ],
  'an object class beyond 32 bits': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: class_id objects_id: expected 0 to 1599, got 4294967297 for box 3',
  ],
  'a confidence above 1': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: confidence objects_conf: expected 0 to 1, got 1.0010000467300415 for box 1',
  ],
  'a negative confidence': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: confidence attrs_conf: expected 0 to 1, got -0.0010000000474974513 for box 1',
  ],
  'a confidence that is NaN': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: not_finite attrs_conf: expected finite values, got NaN for box 0',
  ],
  'an id twice': [
    'error: rows.tsv:3 (byte 790354) SYNTHETIC_000000000000: duplicate: expected an img_id that occurs once, got one that is in rows.tsv:1 already',
  ],
  'an id twice, the first of them bad': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: num_boxes num_boxes: expected 36, got 35; LXMERT needs exactly 36 boxes; use the fixed 36-box features',
  ],
  'no id': [
    'error: rows.tsv:2 (byte 395177): img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got nothing',
  ],
  'a zero byte in an id': [
    'error: rows.tsv:2 (byte 395177) COCO�one: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got control characters or marks of direction in "COCO\\u0000one"',
  ],
  'a terminal command in an id': [
    'error: rows.tsv:2 (byte 395177) �[2Jgone: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got control characters or marks of direction in "\\u001b[2Jgone"',
  ],
  'an id that is not UTF-8': [
    'error: rows.tsv:2 (byte 395177) C��: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got bytes that are not UTF-8',
  ],
  'an id of 256 bytes': [
    'error: rows.tsv:2 (byte 395177) xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got 256 bytes',
  ],
  'an id of 200 characters that take 400 bytes': [
    'error: rows.tsv:2 (byte 395177) éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got 400 bytes',
  ],
  'an id of 300 kB': [
    'error: rows.tsv:2 (byte 395177) xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: img_id img_id: expected printable UTF-8 of 1 to 255 bytes, got 300000 bytes',
  ],
  'a height of 0': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_h: expected pixels, 1 to 9999999, got "0"',
  ],
  'a negative width': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_w: expected pixels, 1 to 9999999, got "-640"',
  ],
  'a huge height': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_h: expected pixels, 1 to 9999999, got "99999999999"',
  ],
  'a width that is no number': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_w: expected pixels, 1 to 9999999, got "640px"',
  ],
  'a height in hexadecimal': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_h: expected pixels, 1 to 9999999, got "0x1e0"',
  ],
  'a width with a decimal point': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_w: expected pixels, 1 to 9999999, got "640.0"',
  ],
  'no height': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: image_size img_h: expected pixels, 1 to 9999999, got nothing',
  ],
  'height and width exchanged': [
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 480 and 0 <= y <= 640, got (454.648193359375, 149.23927307128906, 639.2000122070312, 479.20001220703125) as box 0',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 480 and 0 <= y <= 640, got (176.6553192138672, 247.0290069580078, 583.510498046875, 399.3968811035156) as box 1',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 480 and 0 <= y <= 640, got (309.1056213378906, 164.0467529296875, 570.5983276367188, 214.1597137451172) as box 2',
    '… 17 more',
    'error: rows.tsv:2 (byte 395177) SYNTHETIC_000000000001: box_range boxes: expected 0 <= x <= 480 and 0 <= y <= 640, got (316.4432067871094, 31.262102127075195, 597.0827026367188, 239.61972045898438) as box 30',
  ],
  'a six-column row among ten': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 6 columns in 394019 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'a ten-column row among six': [
    'error: rows.tsv:2 (byte 394021): columns: expected 6 columns, got 10 columns in 395175 characters; rows are glued together: writing was resumed behind a torn row; extract or download it again',
  ],
  'a gzip file': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 28 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'a zip archive named .tsv': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 112 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'a PNG image': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 4 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:2 (byte 6): columns: expected 10 columns, got 1 column in 1 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:3 (byte 8): columns: expected 10 columns, got 1 column in 20 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'an HTML page': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 15 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:2 (byte 16): columns: expected 10 columns, got 1 column in 49 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  JSON: [
    'error: rows.tsv:1 (byte 0): columns: expected a row on one line whose quotes match, got Invalid Opening Quote: a quote is found on field 0 at line 1, value is "[{"',
  ],
  'no line end in 20 MB': [
    'error: rows.tsv:1 (byte 0): length: expected a row of about 395 kB, got a line of 20000000 bytes; line ends are missing, or this is not a feature TSV',
    'error: rows.tsv: rows: expected at least one row, got 20000000 bytes without a row',
  ],
  'no line end in 20 MB, then a row': [
    'error: rows.tsv:1 (byte 0): length: expected a row of about 395 kB, got a line of 20000002 bytes; line ends are missing, or this is not a feature TSV',
  ],
  'a row longer than any, within a block': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 1 column in 3000000 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
  ],
  'tabs only, two million of them': [
    'error: rows.tsv:2 (byte 395177): columns: expected 10 columns, got 2000001 columns',
  ],
  'thirty million line ends': [
    'rows.tsv: this is not a feature TSV\n  expected: rows of about 395 kB\n  got:      more than 20000 lines within 8 MB, from line 1 on',
  ],
  'short lines only': [
    'error: rows.tsv:1 (byte 0): columns: expected 10 columns, got 1 column in 12 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:2 (byte 13): columns: expected 10 columns, got 1 column in 12 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    'error: rows.tsv:3 (byte 26): columns: expected 10 columns, got 1 column in 12 characters; the row is torn, or the file is not a feature TSV; extract or download it again',
    '… 1497 more',
    'error: rows.tsv: rows: expected a feature TSV, got 1500 lines without one valid row; stopped there',
  ],
  'rows missing from a published file': [
    'error: val2014_obj36.tsv: rows: expected 40504 rows in val2014_obj36.tsv, got 2 rows; the file is incomplete; download it again, or allow a part with --subset',
  ],
};
