/** What is said about each kind of broken zip archive of hostile-zip.ts, word for word. */
export const ZIP_MESSAGES: Readonly<Record<string, string>> = {
  'an empty file':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (0 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'two letters':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (2 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'an HTML page':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (40 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'an archive without members':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      an empty archive\n' +
    '  what to do: name the member with --member',
  'cut inside the first header':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (20 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'cut inside the data':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (1047 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'cut inside the directory':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (80087 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'cut before the end record':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (80120 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'cut by one byte':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      End of central directory record signature not found. Either not a zip file, or file is truncated. (80141 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'bytes behind the end':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      Invalid comment length. Expected: 14. Found: 0. Are there extra bytes at the end of the file? Or is the end of central dir signature `PK☺☻` in the comment? (80156 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'bytes before the start':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      invalid central directory file header signature: 0x572f5761 (80161 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'the first bytes missing':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80042 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'no TSV':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      readme.txt\n' +
    '  what to do: name the member with --member',
  'two TSVs, none named like the archive':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      a.tsv, b.tsv\n' +
    '  what to do: name the member with --member',
  'a terminal command in a name':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      �[2J.txt\n' +
    '  what to do: name the member with --member',
  'the same member twice':
    'val2014_obj36.zip: the archive has this member more than once\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      val2014_obj36.tsv, folder/val2014_obj36.tsv\n' +
    '  what to do: name the member with --member',
  'another member asked for':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named train2014_obj36.tsv\n' +
    '  got:      val2014_obj36.tsv\n' +
    '  what to do: name the member with --member',
  'ten members, none asked for':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      0.tsv, 1.tsv, 2.tsv, 3.tsv, 4.tsv, 5.tsv, 6.tsv, 7.tsv, and 2 more\n' +
    '  what to do: name the member with --member',
  'an encrypted member':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is encrypted\n' +
    '  expected: stored or deflated data\n' +
    '  what to do: unpack it with another tool and give the .tsv',
  'strong encryption':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      strong encryption is not supported (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'an unknown method':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is packed with method 93\n' +
    '  expected: stored or deflated data\n' +
    '  what to do: unpack it with another tool and give the .tsv',
  'a wrong CRC':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is damaged\n' +
    '  expected: CRC-32 00000001\n' +
    '  got:      CRC-32 f2a0567c\n' +
    '  what to do: download the archive again',
  'a wrong CRC, stored':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is damaged\n' +
    '  expected: CRC-32 00000001\n' +
    '  got:      CRC-32 f2a0567c\n' +
    '  what to do: download the archive again',
  'a flipped bit in stored data':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is damaged\n' +
    '  expected: CRC-32 f2a0567c\n' +
    '  got:      CRC-32 5e254a3a\n' +
    '  what to do: download the archive again',
  'a size that is too small':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is longer than it says\n' +
    '  expected: 79999 bytes\n' +
    '  got:      80000 or more\n' +
    '  what to do: download the archive again',
  'a size that is too large':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is cut short\n' +
    '  expected: 80001 bytes\n' +
    '  got:      80000 bytes\n' +
    '  what to do: download the archive again',
  'a packed size that is too small':
    'val2014_obj36.zip:val2014_obj36.tsv: the compressed data cannot be unpacked\n' +
    '  expected: a sound deflate stream\n' +
    '  got:      unexpected end of file\n' +
    '  what to do: download the archive again',
  'a packed size beyond the end':
    'val2014_obj36.zip:val2014_obj36.tsv: the archive ends inside the member\n' +
    '  expected: 180010 bytes from byte 47 on\n' +
    '  got:      an archive of 80142 bytes\n' +
    '  what to do: download the archive again',
  'a stored member shorter than it says':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is cut short\n' +
    '  expected: 80000 bytes\n' +
    '  got:      100 bytes\n' +
    '  what to do: download the archive again',
  'a stored member longer than it says':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is longer than it says\n' +
    '  expected: 100 bytes\n' +
    '  got:      80000 or more\n' +
    '  what to do: download the archive again',
  'damaged deflate data':
    'val2014_obj36.zip:val2014_obj36.tsv: the compressed data cannot be unpacked\n' +
    '  expected: a sound deflate stream\n' +
    '  got:      invalid block type\n' +
    '  what to do: download the archive again',
  'no deflate data':
    'val2014_obj36.zip:val2014_obj36.tsv: the compressed data cannot be unpacked\n' +
    '  expected: a sound deflate stream\n' +
    '  got:      unexpected end of file\n' +
    '  what to do: download the archive again',
  'a bomb: 300 MB where 1 kB is announced':
    'val2014_obj36.zip:val2014_obj36.tsv: the member is longer than it says\n' +
    '  expected: 1000 bytes\n' +
    '  got:      1048576 or more\n' +
    '  what to do: download the archive again',
  'no header where the directory says':
    'val2014_obj36.zip:val2014_obj36.tsv: the archive has no member where its directory says\n' +
    '  expected: a header at byte 7\n' +
    '  what to do: download the archive again',
  'a header place beyond the end':
    'val2014_obj36.zip:val2014_obj36.tsv: the archive has no member where its directory says\n' +
    '  expected: a header at byte 4000000000\n' +
    '  what to do: download the archive again',
  'a header with another signature':
    'val2014_obj36.zip:val2014_obj36.tsv: the archive has no member where its directory says\n' +
    '  expected: a header at byte 0\n' +
    '  what to do: download the archive again',
  'more records than there are':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'fewer records than there are':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      an empty archive\n' +
    '  what to do: name the member with --member',
  'four billion records':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      invalid central directory file header signature: 0x6064b50 (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'more records than numbers can count':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      invalid central directory file header signature: 0x6064b50 (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a directory beyond the end':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a directory far beyond the end':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a directory inside the data':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      invalid central directory file header signature: 0x75585778 (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a ZIP64 locator that points beyond the end':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a damaged ZIP64 locator':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      unexpected EOF (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a damaged ZIP64 end record':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      invalid zip64 end of central directory record signature (80218 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a ZIP64 member of more bytes than there are':
    'val2014_obj36.zip:val2014_obj36.tsv: the archive ends inside the member\n' +
    '  expected: 1152921504606847000 bytes from byte 47 on\n' +
    '  got:      an archive of 80246 bytes\n' +
    '  what to do: download the archive again',
  'a comment longer than it says':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      Invalid comment length. Expected: 50. Found: 10. Are there extra bytes at the end of the file? Or is the end of central dir signature `PK☺☻` in the comment? (80192 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'a comment shorter than it says':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      Invalid comment length. Expected: 0. Found: 65535. Are there extra bytes at the end of the file? Or is the end of central dir signature `PK☺☻` in the comment? (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
  'an end record inside the comment':
    'val2014_obj36.zip: the archive has no such member\n' +
    '  expected: one member named val2014_obj36.tsv\n' +
    '  got:      an empty archive\n' +
    '  what to do: name the member with --member',
  'the second part of a split archive':
    'val2014_obj36.zip: the directory of this zip archive cannot be read\n' +
    '  expected: a central directory at the end\n' +
    '  got:      multi-disk zip files are not supported: found disk number: 1 (80142 bytes)\n' +
    '  what to do: the download is not complete, or this is no zip archive; download it again',
};
